"""The gateway from outside: ``twistd seg`` and ``seg`` as processes, in the lab's small internet."""
