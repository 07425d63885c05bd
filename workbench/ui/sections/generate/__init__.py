"""Sections of the page Generate."""
