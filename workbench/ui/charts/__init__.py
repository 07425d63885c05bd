"""Figures that only the pages draw: linked maps, curves of arms, heat maps of arms."""
