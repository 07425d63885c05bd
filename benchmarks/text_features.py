"""MAUVE of two arms: sorted batches and references embedded once, against the package's way.

mauve-text embeds one text at a time, and the references again at every call. Both sides use the
same encoder and the package's own score, so only the embedding differs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analyses.statistics.intervals import BootstrapConfig
from analyses.texts.mauve_score import MauveConfig, mauve_score
from benchmarks.measuring import Row, Setting, compare
from benchmarks.workload import open_workload
from models.text_encoder import load_text_encoder

TEXTS = 120
CONFIG = MauveConfig(num_seeds=1, bootstrap=BootstrapConfig(num_resamples=10))
LARGEST_DIFFERENCE = 1e-3


def mauve(setting: Setting) -> Iterator[Row]:
    """Scores of two arms against one set of references."""
    num_texts = 40 if setting.quick else TEXTS
    split = open_workload(setting.directory).corpus.split("train")
    references, *arms = (
        split.texts(np.arange(part * num_texts, (part + 1) * num_texts)) for part in range(3)
    )
    # A poor arm: every second word is missing.
    arms[1] = [" ".join(text.split()[::2]) for text in arms[1]]
    encoder = load_text_encoder("minilm")

    def ours() -> list[float]:
        human = encoder.embed(references)
        return [_score(human, encoder.embed(texts)) for texts in arms]

    def packages() -> list[float]:
        return [
            _score(encoder.embed(references, 1), encoder.embed(texts, batch_size=1))
            for texts in arms
        ]

    difference = float(np.abs(np.subtract(ours(), packages())).max())
    yield Row(
        stage=f"MAUVE of two arms, {num_texts} texts each",
        peer="mauve-text's way: batch 1, references at every call (same encoder)",
        ratio=compare(ours, packages, repeats=setting.repeats(5), warm_up=0),
        goal=8.0,
        gate=f"scores differ by {difference:.1e} < {LARGEST_DIFFERENCE}",
        gate_passed=difference < LARGEST_DIFFERENCE,
    )


def _score(human: np.ndarray, written: np.ndarray) -> float:
    return float(mauve_score(human, written, CONFIG, featurizer="minilm").score or 0.0)
