"""One module for each real server: how it is configured and started, and where it puts what it takes."""
