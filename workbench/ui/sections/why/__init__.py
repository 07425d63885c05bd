"""Sections of the page Why reconstruction misleads."""
