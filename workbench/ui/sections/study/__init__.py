"""Sections of the page Study."""
