"""What probes look at: arrays of a run, made once."""
