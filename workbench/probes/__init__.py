"""Probes of a run's spaces: their inputs, the catalogue, and their course over training."""
