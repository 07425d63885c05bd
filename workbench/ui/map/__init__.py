"""The map component: the same items in several spaces, drawn by the browser, one selection."""
