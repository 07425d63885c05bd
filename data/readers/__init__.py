"""Readers: one module a kind of source, each a stream of documents."""
