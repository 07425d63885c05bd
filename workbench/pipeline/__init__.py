"""Whole studies and single stages: run, resume, fork, verify."""
