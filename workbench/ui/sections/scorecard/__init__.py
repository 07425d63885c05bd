"""Sections of the page Scorecard."""
