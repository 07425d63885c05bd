"""Measures in plain words, with unit and better end, for readers who never met their names."""

from __future__ import annotations

from collections.abc import Mapping

# Name, or its beginning up to a bracket -> what it is; the arrow points at the better end.
PLAIN_WORDS: Mapping[str, str] = {
    "reconstruction.token_accuracy": "read back, share of tokens ↑",
    "generation.mauve": "MAUVE, like human text (0 to 1) ↑",
    "generation.valid_4gram": "4-word runs seen in real text, share ↑",
    "generation.nats_per_token": "a judge's surprise, nats a token ↓",
    "generation.fidelity": "the prompt's facts kept, share ↑",
    "generation.embedding_f1": "meaning as a human's, F1 (0 to 1) ↑",
    "generation.rouge1": "words as a human's, F1 (0 to 1) ↑",
}


def plain_words(metric: str) -> str:
    """The measure in plain words; its name where there are none."""
    return PLAIN_WORDS.get(metric.partition("[")[0], metric.removeprefix("generation."))
