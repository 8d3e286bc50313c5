"""A filter of OpenSMTPD that decides on recipients (smtpd-filters(7)). Its argument is the file that closes ``late@``."""

import os
import sys

closed = sys.argv[1]
for line in sys.stdin:
    fields = line.rstrip("\n").split("|")
    if fields[0] == "config" and fields[1] == "ready":
        print("register|filter|smtp-in|rcpt-to\nregister|ready", flush=True)
    elif fields[0] == "filter":
        session, token, address = fields[5], fields[6], fields[7]
        local = address.strip("<>").partition("@")[0]
        if local == "nobody":
            result = "reject|550 5.1.1 nobody of that name"
        elif local == "late" and os.path.exists(closed):
            result = "reject|451 4.7.1 greylisted, come back"
        else:
            result = "proceed"
        print(f"filter-result|{session}|{token}|{result}", flush=True)
