"""Measures in plain words, with unit and better end, for readers who never met their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# Name, or its beginning up to a bracket -> what it is; the arrow points at the better end.
PLAIN_WORDS: Mapping[str, str] = {
    "reconstruction.token_accuracy": "read back, share of tokens ↑",
    "generation.grammar_sentences": "sentences that the grammar tells, share ↑",
    "generation.grammar_texts": "whole stories that the grammar tells, share ↑",
    "generation.c2st": "told from human text, share (.5 is human) ↓",
    "generation.energy": "distance from human text, z (0 is human) ↓",
    "generation.mauve": "MAUVE, like human text (0 to 1) ↑",
    "generation.valid_4gram": "4-word runs seen in real text, share ↑",
    "generation.nats_per_token": "a judge's surprise, nats per token ↓",
    "generation.nats": "an outside judge's surprise, nats per token ↓",
    "generation.unigram_entropy": "variety of words, nats",
    "generation.repetition": "4-word runs said again, share ↓",
    "generation.fidelity": "the prompt's facts kept, share ↑",
    "generation.embedding_f1": "meaning as a human's, F1 (0 to 1) ↑",
    "generation.rouge1": "words as a human's, F1 (0 to 1) ↑",
}


def plain_words(metric: str) -> str:
    """The measure in plain words; its name where there are none."""
    return PLAIN_WORDS.get(metric.partition("[")[0], metric.removeprefix("generation."))


def plain_names(metrics: Iterable[str]) -> dict[str, str]:
    """Scores without their family in plain words; the model in the name stays where there is one.

    Two models may make the same measure, so `energy[minilm]` keeps its bracket.
    """
    return {
        name: plain_words(f"generation.{name}") + ("" if "[" not in name else f" [{_model(name)}]")
        for name in metrics
    }


def _model(name: str) -> str:
    return name.partition("[")[2].removesuffix("]")
