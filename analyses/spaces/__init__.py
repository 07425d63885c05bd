"""Probes of a latent space: vectors and labels in, numbers with chance and interval out."""
