"""Comparisons, scorecards, reports and findings: what is told about a study."""
