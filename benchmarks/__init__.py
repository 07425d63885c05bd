"""What each stage costs compared with a peer, as ratios measured in one process: `make bench`."""
