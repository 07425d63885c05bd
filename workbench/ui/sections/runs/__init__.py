"""Sections of the page Runs."""
