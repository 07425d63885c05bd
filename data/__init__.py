"""Corpora, tokenisation and batching: everything between a text and the integers a model sees.

Nothing here knows a model: arrays are NumPy, and torch is never imported.
"""
