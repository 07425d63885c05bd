"""Sections of the page Neighbours."""
