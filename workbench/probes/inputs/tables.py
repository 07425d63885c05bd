"""Tables of a run's held-out texts, shared by several probes: one row per token or sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TokenTable:
    """Real tokens of held-out texts, one per row; context and target are encoded separately.

    Attributes:
        mu: (N, D) posterior means in the encoder's units.
        normalised_mu: (N, D) posterior means as the flow sees them.
        logvar: (N, D) ln sigma^2 in the encoder's units.
        z: (N, D) what the flow learns, normalised.
        token_ids: (N,) int64.
        texts: (N,) int64, the text each token belongs to.
        positions: (N,) int64, its place in the text.
        is_target: (N,) bool, whether the token is after the cut.
        embeddings: (N, W) the VAE's token embeddings: what a token says without its context;
            None for a bundle that gives none.
        labels: label set -> (N,) int64, -1 = missing.
    """

    mu: np.ndarray
    normalised_mu: np.ndarray
    logvar: np.ndarray
    z: np.ndarray
    token_ids: np.ndarray
    texts: np.ndarray
    positions: np.ndarray
    is_target: np.ndarray
    embeddings: np.ndarray | None
    labels: dict[str, np.ndarray]


@dataclass(frozen=True)
class SentenceTable:
    """Sentences of the probed texts, one per row.

    Attributes:
        features: (S, D) mean of normalised `mu` over the sentence's tokens.
        texts: (S,) int64, the text each sentence belongs to.
        labels: text label set -> (S,) int64, the label of that text, -1 = missing.
    """

    features: np.ndarray
    texts: np.ndarray
    labels: dict[str, np.ndarray]


@dataclass(frozen=True)
class ContextTable:
    """Target tokens and their context, one token per row.

    Attributes:
        z: (N, D) what the flow learns at target tokens.
        context: (N, 2 D + 1): mean and last normalised `mu` of the context, and the token's
            distance from the cut as a share of the window.
        texts: (N,) int64.
    """

    z: np.ndarray
    context: np.ndarray
    texts: np.ndarray
