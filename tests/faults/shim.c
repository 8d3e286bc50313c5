/* Makes calls on files of a spool fail: SEG_FAULT names a file that holds an errno and the calls ("5 fsync rename open"); without it
   nothing fails. Loaded by LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(const char *call, const char *path)
{
    static int (*real_open)(const char *, int, ...);
    const char *control = getenv("SEG_FAULT");
    char text[200] = "";
    if (!control || !path || (!strstr(path, "/spool/new") && !strstr(path, "/spool/cur") && !strstr(path, "/spool/tmp")))
        return 0;
    if (!real_open)
        real_open = dlsym(RTLD_NEXT, "open64");
    int fd = real_open(control, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 && strstr(text, call) ? atoi(text) : 0;
}

static const char *name_of(int fd, char *buffer, size_t size)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, buffer, size - 1);
    buffer[n > 0 ? n : 0] = 0;
    return buffer;
}

int fsync(int fd)
{
    static int (*real)(int);
    char path[4096];
    int error = fails("fsync", name_of(fd, path, sizeof path));
    if (error)
        return errno = error, -1;
    if (!real)
        real = dlsym(RTLD_NEXT, "fsync");
    return real(fd);
}

int rename(const char *old, const char *new)
{
    static int (*real)(const char *, const char *);
    int error = fails("rename", new);
    if (error)
        return errno = error, -1;
    if (!real)
        real = dlsym(RTLD_NEXT, "rename");
    return real(old, new);
}

int unlink(const char *path)
{
    static int (*real)(const char *);
    int error = fails("unlink", path);
    if (error)
        return errno = error, -1;
    if (!real)
        real = dlsym(RTLD_NEXT, "unlink");
    return real(path);
}

int open64(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    va_list more;
    va_start(more, flags);
    int mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    int error = fails("open", path);
    if (error)
        return errno = error, -1;
    if (!real)
        real = dlsym(RTLD_NEXT, "open64");
    return real(path, flags, mode);
}
