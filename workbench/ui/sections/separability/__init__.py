"""Sections of the page Separability."""
