"""Families of text generators beside the latent flow: networks that write tokens themselves."""
