"""The command line: parses, calls, prints. What it shows comes from the daemon's API where the daemon runs."""
