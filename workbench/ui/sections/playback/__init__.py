"""Sections of the page Playback."""
