"""BERTScore's greedy matching, on token embeddings that the caller brings.

The score belongs to the model that made the embeddings; name it after that model. Contextual
embeddings of unrelated texts are far from orthogonal, so a raw score of .5 may be chance: the
score of every continuation against *another* prompt's reference is given beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyses.numerics.settings import check_at_least
from analyses.result import PerText


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingScoreConfig:
    """Greedy matching's choices.

    Attributes:
        rescale: Map chance to 0 and a perfect match to 1, (s - chance) / (1 - chance).
        seed: Seed of the pairing with other prompts' references that chance is measured on.
    """

    rescale: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 0, "seed")


def embedding_scores(
    continuations: Sequence[np.ndarray],
    references: Sequence[np.ndarray],
    config: EmbeddingScoreConfig | None = None,
) -> PerText:
    """Greedy-matching precision, recall and F1 of every continuation, in [-1, 1].

    Precision is the mean over continuation tokens of the largest cosine with a reference token,
    recall the mean over reference tokens, without idf weights. A continuation without a token
    scores 0 (also after rescaling); a reference without one defines nothing (NaN).

    Args:
        continuations: n arrays (n_i, W) of token embeddings.
        references: n arrays (m_i, W) for the same prompts.
        config: Rescaling and seed.

    Raises:
        ValueError: If lists or widths differ, or an embedding is not finite (texts named).

    Source: Zhang et al. 2020, "BERTScore", arXiv 1904.09675, section 3.
    """
    config = config or EmbeddingScoreConfig()
    if len(continuations) != len(references):
        raise ValueError(
            f"{len(continuations)} continuations do not pair with {len(references)} references"
        )
    texts = _unit_rows(continuations, "continuations")
    targets = _unit_rows(references, "references")
    table = _matched(texts, targets)
    empty = np.array([len(text) == 0 for text in texts], dtype=bool)
    chance = _chance(texts, targets, config.seed)
    if config.rescale:
        table = _rescaled(table, chance, empty)
    values = dict(zip(("precision", "recall", "f1"), table.T, strict=True))
    return PerText(
        values={f"embedding_{name}": column for name, column in values.items()},
        detail={
            "chance": dict(zip(("precision", "recall", "f1"), chance.tolist(), strict=True)),
            "rescaled": config.rescale,
            "num_empty": int(empty.sum()),
            "num_references_without_tokens": sum(len(target) == 0 for target in targets),
        },
    )


def _unit_rows(embeddings: Sequence[np.ndarray], name: str) -> list[np.ndarray]:
    rows = [np.asarray(part, dtype=np.float64) for part in embeddings]
    if any(part.ndim != 2 for part in rows) or len({part.shape[1] for part in rows}) > 1:
        shapes = sorted({part.shape[1:] for part in rows})
        raise ValueError(f"{name} must be arrays (n_i, W) of one width, got widths {shapes}")
    bad = [i for i, part in enumerate(rows) if not np.isfinite(part).all()]
    if bad:
        raise ValueError(f"{name} hold NaN or infinite values in {len(bad)} text(s): {bad[:5]}")
    norms = [np.linalg.norm(part, axis=1, keepdims=True) for part in rows]
    return [part / np.where(norm > 0, norm, 1.0) for part, norm in zip(rows, norms, strict=True)]


def _matched(texts: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> np.ndarray:
    rows = [_match(text, target) for text, target in zip(texts, targets, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 3)


def _match(text: np.ndarray, target: np.ndarray) -> tuple[float, float, float]:
    """Precision, recall and F1 of one pair of unit-row arrays."""
    if len(target) == 0:
        return np.nan, np.nan, np.nan
    if len(text) == 0:
        return 0.0, 0.0, 0.0
    similarity = text @ target.T
    precision = float(similarity.max(axis=1).mean())
    recall = float(similarity.max(axis=0).mean())
    total = precision + recall
    return precision, recall, 2 * precision * recall / total if total > 0 else 0.0


def _chance(texts: list[np.ndarray], targets: list[np.ndarray], seed: int) -> np.ndarray:
    """Mean scores (3,) against another prompt's reference; NaN with fewer than two prompts."""
    if len(texts) < 2:
        return np.full(3, np.nan)
    order = np.random.default_rng(seed).permutation(len(texts))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    pairs = [
        row
        for row in _matched(texts, [targets[i] for i in other])
        if np.isfinite(row).all() and row.any()
    ]
    return np.mean(pairs, axis=0) if pairs else np.full(3, np.nan)


def _rescaled(table: np.ndarray, chance: np.ndarray, empty: np.ndarray) -> np.ndarray:
    if not np.all(chance < 1.0):
        raise ValueError(f"rescale needs a chance level below 1, got {chance.tolist()}")
    scaled = (table - chance) / (1.0 - chance)
    scaled[empty & np.isfinite(table[:, 0])] = 0.0
    return scaled
