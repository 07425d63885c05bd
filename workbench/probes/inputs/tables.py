"""Tables of a run's held-out texts that several probes share: a row a token, or a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TokenTable:
    """Real tokens of held-out texts, one a row, context and target encoded apart.

    Attributes:
        mu: (N, D) posterior means in the encoder's units.
        normalised_mu: (N, D) posterior means as the flow sees them.
        logvar: (N, D) ln sigma^2 in the encoder's units.
        z: (N, D) what the flow learns, normalised.
        token_ids: (N,) int64.
        texts: (N,) int64, the text each token belongs to.
        positions: (N,) int64, its place in the text.
        is_target: (N,) bool, whether it stands after the cut.
        embeddings: (N, W) the VAE's own token embeddings: what a token says without its context.
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
    embeddings: np.ndarray
    labels: dict[str, np.ndarray]


@dataclass(frozen=True)
class SentenceTable:
    """Sentences of the probed texts, one a row.

    Attributes:
        features: (S, D) mean over the sentence's tokens of normalised `mu`.
        texts: (S,) int64, the text each sentence belongs to.
        labels: text label set -> (S,) int64, the label of that text, -1 = missing.
    """

    features: np.ndarray
    texts: np.ndarray
    labels: dict[str, np.ndarray]


@dataclass(frozen=True)
class ContextTable:
    """Target tokens with what stands before them, one a row.

    Attributes:
        z: (N, D) what the flow learns of target tokens.
        context: (N, 2 D + 1): mean and last normalised `mu` of the context, and how far after the
            cut the token stands, as a share of the window.
        texts: (N,) int64.
    """

    z: np.ndarray
    context: np.ndarray
    texts: np.ndarray
