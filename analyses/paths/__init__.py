"""Readings of sampling trajectories and of the course of a training."""
