"""A policy server of Postfix (SMTPD_POLICY_README) that decides on recipients. Its argument is the file that closes ``late@``."""

import os
import sys

closed = sys.argv[1]
recipient = ""
for line in sys.stdin:
    name, _, value = line.rstrip("\n").partition("=")
    if name == "recipient":
        recipient = value
    elif not name:
        local = recipient.partition("@")[0]
        action = "DUNNO"
        if local == "nobody":
            action = "550 5.1.1 nobody of that name"
        elif local == "late" and os.path.exists(closed):
            action = "451 4.7.1 greylisted, come back"
        print(f"action={action}\n", flush=True)
