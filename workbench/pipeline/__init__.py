"""Whole studies and single stages: run, resumed, forked, verified."""
