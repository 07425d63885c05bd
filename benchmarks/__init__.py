"""What each stage costs beside a peer, as ratios measured in one process: `make bench`."""
