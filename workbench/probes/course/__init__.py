"""Probes over the course of a training."""
