"""The inputs of probes: arrays of a run, each made once."""
