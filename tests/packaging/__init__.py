"""What is handed to operators besides the program: Debian's package, units, images, and pages whose commands are run."""
