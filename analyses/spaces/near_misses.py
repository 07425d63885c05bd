"""Misses of a generator that was meant to write a known word: how many, and of which kind.

A real text is half noised and finished by the generator, so that each place has a word that was
meant. Whether another word is of the same kind as the one that was meant depends on what lies next
to it in the space, and not on how well the decoder reads latents of its own encoder.
"""

from __future__ import annotations

import numpy as np

from analyses.numerics.features import check_labels
from analyses.result import Result, undefined
from analyses.spaces.knn_coherence import expected_share
from analyses.statistics.intervals import BootstrapConfig, grouped_bootstrap


def miss_rate(
    meant: np.ndarray, written: np.ndarray, texts: np.ndarray, config: BootstrapConfig | None = None
) -> Result:
    """Share of words that were written as another word, in [0, 1].

    Args:
        meant: (N,) token ids, >= 0.
        written: (N,) token ids.
        texts: (N,) text of each word; the interval is over texts.
        config: Resamples and seed.

    Returns:
        `chance` is that of the same words written in random order; `per_item` has `missed`.
    """
    meant, written, texts = _words(meant, written, texts)
    if not len(meant):
        return undefined("near_misses.rate", "there is no word to write", 0)
    missed = written != meant
    frequency = np.bincount(meant) / len(meant)
    return Result.of(
        "near_misses.rate",
        grouped_bootstrap(missed.astype(float), texts, config),
        chance=float(1.0 - np.square(frequency).sum()),
        higher_is_better=False,
        per_item={"missed": missed},
    )


def same_kind_misses(
    meant: np.ndarray,
    written: np.ndarray,
    kinds: np.ndarray,
    texts: np.ndarray,
    config: BootstrapConfig | None = None,
) -> Result:
    """Share of misses that wrote a word of the kind that was meant, in [0, 1].

    The kind of a written word is the one that its token has most often among the words that were
    meant; a token that never was meant is of no kind.

    Args:
        meant: (N,) token ids, >= 0.
        written: (N,) token ids.
        kinds: (N,) kind of each word that was meant, -1 = unknown: left out.
        texts: (N,) text of each word; the interval is over texts.
        config: Resamples and seed.

    Returns:
        n counts misses. `chance` is that of another word drawn from all that were meant;
        `per_item` has `row` of each miss and `same`.
    """
    name = "near_misses.same_kind"
    meant, written, texts = _words(meant, written, texts)
    classes = check_labels(kinds, len(meant), name="kinds")
    known = classes >= 0
    rows = np.flatnonzero(known & (written != meant))
    if not len(rows):
        return undefined(name, "no word of a known kind was missed", 0)
    usual = _usual_kinds(meant[known], classes[known], int(max(meant.max(), written.max())) + 1)
    same = usual[written[rows]] == classes[rows]
    chance = np.full(len(meant), np.nan)
    if len(np.unique(meant[known])) > 1:
        chance[known] = expected_share(classes[known], meant[known])
    expected = float(chance[rows].mean())
    return Result.of(
        name,
        grouped_bootstrap(same.astype(float), texts[rows], config),
        chance=expected if np.isfinite(expected) else None,
        higher_is_better=True,
        per_item={"row": rows, "same": same},
    )


def _words(
    meant: np.ndarray, written: np.ndarray, texts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = np.size(meant)
    named = {"meant": meant, "written": written, "texts": texts}
    checked = {name: check_labels(ids, n, name=name) for name, ids in named.items()}
    return checked["meant"], checked["written"], checked["texts"]


def _usual_kinds(ids: np.ndarray, kinds: np.ndarray, size: int) -> np.ndarray:
    """(size,) the kind that each token has most often, -1 where it has none."""
    counts = np.zeros((size, kinds.max() + 1), np.int64)
    np.add.at(counts, (ids, kinds), 1)
    return np.where(counts.any(axis=1), counts.argmax(axis=1), -1)
