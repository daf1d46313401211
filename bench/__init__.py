"""How fast the bridge is, as ratios against this machine's own limits, all in one run: `make bench`."""
