"""Scores of texts, and the evaluation of a run."""
