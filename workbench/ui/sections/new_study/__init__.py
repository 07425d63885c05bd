"""Sections of the page New study."""
