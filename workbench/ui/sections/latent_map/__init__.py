"""Sections of the page Latent map."""
