"""Probes of a run's spaces: what they look at, the catalogue, and their course over training."""
