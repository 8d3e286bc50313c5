"""Ground that knows nothing of mail: files, clocks, threads, shares of a pool."""
