"""Sections of the page Geometry."""
