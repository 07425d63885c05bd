"""The engine: it knows the corpora, the models and the analyses, and they do not know it."""
