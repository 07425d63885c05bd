"""What all pages share: cached calls, figures, error cards, theme, sidebar."""
