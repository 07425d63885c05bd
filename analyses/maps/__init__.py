"""Two-dimensional maps, and how far they can be trusted."""
