"""Intervals, contrasts, permutation nulls and verdicts."""
