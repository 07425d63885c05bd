"""What a decoder makes of latents: tokens, entropy and margin, batch by batch.

Logits over a vocabulary are the largest array of any probe, so they live for one batch only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analyses.numerics.features import check_features

# Latents as the flow sees them, (B, L, D) float32, to logits (B, L, V).
LatentDecoder = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True, slots=True)
class Readings:
    """One decoding of latents.

    Attributes:
        token_ids: (B, L) int64, the most likely token.
        entropy: (B, L) float64, of the token distribution, nats.
        margin: (B, L) float64, largest less second largest logit, nats of log odds.
    """

    token_ids: np.ndarray
    entropy: np.ndarray
    margin: np.ndarray


def check_latents(
    features: np.ndarray, mask: np.ndarray | None, *, name: str = "features"
) -> tuple[np.ndarray, np.ndarray]:
    """Return latents (B, L, D) and a bool mask (B, L), all True where none is given.

    Raises:
        ValueError: On other shapes, an empty mask, or NaN and infinity (text ids named).
    """
    latents = np.asarray(features)
    if latents.ndim != 3 or 0 in latents.shape:
        raise ValueError(f"{name} must have shape (B, L, D), none of them 0, got {latents.shape}")
    check_features(latents.reshape(len(latents), -1), name=name, min_rows=1)
    real = np.ones(latents.shape[:2], bool) if mask is None else np.asarray(mask, dtype=bool)
    if real.shape != latents.shape[:2]:
        raise ValueError(f"mask must have shape {latents.shape[:2]}, got {real.shape}")
    if not real.any():
        raise ValueError("mask holds no real token")
    return latents, real


def read_latents(features: np.ndarray, decode: LatentDecoder, batch_size: int) -> Readings:
    """Decode latents (B, L, D), `batch_size` texts at a time.

    Raises:
        ValueError: If the decoder's logits have another shape, fewer than 2 tokens, or NaN.
    """
    parts = [
        _read(decode(np.ascontiguousarray(batch, dtype=np.float32)), batch.shape[:2], start)
        for start, batch in _batches(features, batch_size)
    ]
    return Readings(
        token_ids=np.concatenate([part.token_ids for part in parts]),
        entropy=np.concatenate([part.entropy for part in parts]),
        margin=np.concatenate([part.margin for part in parts]),
    )


def read_token_ids(features: np.ndarray, decode: LatentDecoder, batch_size: int) -> np.ndarray:
    """Most likely tokens (B, L) of latents (B, L, D), without entropy and margin."""
    parts = []
    for start, batch in _batches(features, batch_size):
        logits = decode(np.ascontiguousarray(batch, dtype=np.float32))
        parts.append(_checked(logits, batch.shape[:2], start).argmax(axis=-1))
    return np.concatenate(parts)


def _batches(features: np.ndarray, batch_size: int) -> list[tuple[int, np.ndarray]]:
    starts = range(0, len(features), batch_size)
    return [(start, features[start : start + batch_size]) for start in starts]


def _checked(logits: np.ndarray, shape: tuple[int, ...], start: int) -> np.ndarray:
    array = np.asarray(logits)
    if array.ndim != 3 or array.shape[:2] != shape or array.shape[2] < 2:
        raise ValueError(
            f"decode must return logits of shape {(*shape, 'V >= 2')}, got {array.shape}"
        )
    if np.isnan(array).any():
        bad = start + np.flatnonzero(np.isnan(array).any(axis=(1, 2)))
        raise ValueError(f"decode returned NaN logits for text(s) {', '.join(map(str, bad[:5]))}")
    return array


def _read(logits: np.ndarray, shape: tuple[int, ...], start: int) -> Readings:
    array = _checked(logits, shape, start).astype(np.float64)
    top = np.partition(array, -2, axis=-1)[..., -2:]
    shifted = array - top[..., 1:]
    weights = np.exp(shifted)
    total = weights.sum(axis=-1)
    # Where a logit is -inf its weight is 0 and 0 * -inf must count 0.
    energy = np.where(weights > 0.0, weights * np.where(weights > 0.0, shifted, 0.0), 0.0)
    return Readings(
        token_ids=array.argmax(axis=-1),
        entropy=np.log(total) - energy.sum(axis=-1) / total,
        margin=top[..., 1] - top[..., 0],
    )
