"""How latents vary along a text: cosine against distance, sentence by sentence, and by frequency.

Latents are centred over all real tokens before any cosine. The chance level of each probe is the
same number with positions shuffled within every text, which keeps what the text as a whole says
and destroys its order. Every real position counts once; padding never does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.settings import check_at_least, check_share
from analyses.result import Result, undefined
from analyses.statistics.intervals import (
    BootstrapConfig,
    bootstrap,
    interval_from_samples,
    ratio_samples,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceStructureConfig:
    """Settings of the sequence probes.

    Attributes:
        max_distance: Largest i - j whose mean cosine is reported.
        frequency_threshold: Share of the band, from 0 to 1, above which energy counts as high.
        bootstrap: Interval, over texts.
        seed: Seed of the shuffled positions.
    """

    max_distance: int = 16
    frequency_threshold: float = 0.5
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 1, "max_distance")
        check_at_least(self, 0, "seed")
        check_share(self, "frequency_threshold")


def cosine_decay(
    features: np.ndarray, mask: np.ndarray, config: SequenceStructureConfig | None = None
) -> Result:
    """Mean cosine of adjacent tokens; the whole curve against distance in `detail`.

    For distance d: mean over all pairs (i, i + d) of one text, both real, of the cosine of the
    centred latents, all pairs weighted alike. Invariant to rotation, translation and scale.

    Args:
        features: (B, L, D) latents as the flow sees them.
        mask: (B, L) bool, True = a real token; real tokens come first.
        config: Largest distance, interval.

    Returns:
        Score in [-1, 1] at distance 1; chance with positions shuffled within each text, so score
        minus chance is what order adds. `detail["curve"]` and `["pairs"]` are indexed d - 1.

    Source: the local against distant similarity of iREPA, arXiv 2512.10794, along one axis.
    """
    config = config or SequenceStructureConfig()
    name = "sequence_structure.cosine_decay"
    units = _unit_texts(features, mask)
    sums, pairs = _cosine_sums(units, config.max_distance)
    if pairs[:, 0].sum() == 0:
        return undefined(name, "no text has two real tokens", len(units))
    used = pairs[:, 0] > 0
    score = float(sums[:, 0].sum() / pairs[:, 0].sum())
    samples = ratio_samples(sums[used, 0], pairs[used, 0], config.bootstrap)
    interval = interval_from_samples(score, samples, int(used.sum()), config.bootstrap)
    shuffled_sums, _ = _cosine_sums(_shuffled(units, config.seed), config.max_distance)
    totals = pairs.sum(axis=0)
    return Result.of(
        name,
        interval,
        chance=float(shuffled_sums[:, 0].sum() / totals[0]),
        higher_is_better=None,
        detail={
            "curve": _ratio(sums.sum(axis=0), totals),
            "chance_curve": _ratio(shuffled_sums.sum(axis=0), totals),
            "pairs": totals,
        },
    )


def sentence_contrast(
    features: np.ndarray,
    mask: np.ndarray,
    sentences: np.ndarray,
    config: SequenceStructureConfig | None = None,
) -> Result:
    """Cosine of pairs in one sentence less that of pairs across sentences, at equal distance.

    Per text and distance d <= max_distance with both kinds of pair: mean cosine within minus
    mean cosine across; averaged over these distances, then over texts. Matching the distance
    keeps mere nearness out of the contrast. Invariant to rotation, translation and scale.

    Args:
        features: (B, L, D) latents as the flow sees them.
        mask: (B, L) bool, True = a real token; real tokens come first.
        sentences: (B, L) int, sentence number of every token.
        config: Largest distance, interval.

    Returns:
        Score in [-2, 2]; chance with latents shuffled within each text, about 0.
        `per_item` holds the text's row and its contrast.
    """
    config = config or SequenceStructureConfig()
    name = "sequence_structure.sentence_contrast"
    units = _unit_texts(features, mask)
    ids = np.asarray(sentences)
    if ids.shape != np.shape(mask):
        raise ValueError(f"sentences must have shape {np.shape(mask)}, got {ids.shape}")
    rows = [ids[b][np.asarray(mask[b], dtype=bool)] for b in range(len(units))]
    values = _contrasts(units, rows, config.max_distance)
    used = np.flatnonzero(~np.isnan(values))
    if used.size == 0:
        return undefined(name, "no text has pairs within and across sentences", len(units))
    interval = bootstrap(values[used], config.bootstrap)
    null = _contrasts(_shuffled(units, config.seed), rows, config.max_distance)
    return Result.of(
        name,
        interval,
        chance=float(np.nanmean(null)),
        higher_is_better=None,
        per_item={"text": used, "contrast": values[used]},
    )


def high_frequency_share(
    features: np.ndarray, mask: np.ndarray, config: SequenceStructureConfig | None = None
) -> Result:
    """Share of a text's latent energy in the upper part of its spectrum along positions.

    Orthonormal DCT-II of the centred latents over the real positions of each text (length T),
    energy summed over dimensions; share of energy at frequencies k > threshold * (T - 1), k = 0
    included in the total. Texts shorter than 4 tokens are left out. Invariant to rotation,
    translation and scale; 0 for a constant text, about 1 - threshold for white noise.

    Args:
        features: (B, L, D) latents as the flow sees them.
        mask: (B, L) bool, True = a real token; real tokens come first.
        config: Threshold, interval.

    Returns:
        Score in [0, 1], mean over texts; lower = smoother. Chance with positions shuffled.

    Source: spectral energy concentration of arXiv 2606.03578, one-dimensional.
    """
    config = config or SequenceStructureConfig()
    name = "sequence_structure.high_frequency_share"
    texts = _centred_texts(features, mask)
    values = _high_shares(texts, config.frequency_threshold)
    used = np.flatnonzero(~np.isnan(values))
    if used.size == 0:
        return undefined(name, "no text has 4 real tokens that differ from the mean", len(texts))
    interval = bootstrap(values[used], config.bootstrap)
    null = _high_shares(_shuffled(texts, config.seed), config.frequency_threshold)
    return Result.of(
        name,
        interval,
        chance=float(np.nanmean(null)),
        higher_is_better=False,
        per_item={"text": used, "share": values[used]},
    )


def _centred_texts(features: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """Real positions of every text, (T, D) float64, less the mean over all real tokens."""
    latents, real = np.asarray(features), np.asarray(mask, dtype=bool)
    if latents.ndim != 3:
        raise ValueError(f"features must have shape (B, L, D), got {latents.shape}")
    if real.shape != latents.shape[:2]:
        raise ValueError(f"mask must have shape {latents.shape[:2]}, got {real.shape}")
    if not real.any():
        raise ValueError("mask holds no real token")
    # Padding may hold anything; the rows that an error names are texts.
    check_features(np.where(real[..., None], latents, 0.0).reshape(len(latents), -1), min_rows=1)
    tokens = latents[real].astype(np.float64)
    tokens -= tokens.mean(axis=0)
    return np.split(tokens, np.cumsum(real.sum(axis=1))[:-1])


def _unit_texts(features: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    texts = _centred_texts(features, mask)
    norms = [np.linalg.norm(text, axis=1, keepdims=True) for text in texts]
    return [text / np.where(n > 0, n, 1.0) for text, n in zip(texts, norms, strict=True)]


def _shuffled(texts: list[np.ndarray], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [text[rng.permutation(len(text))] for text in texts]


def _cosine_sums(units: list[np.ndarray], max_distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum of cosines and number of pairs, both (B, max_distance), column d - 1 for distance d."""
    sums, pairs = np.zeros((2, len(units), max_distance))
    for row, text in enumerate(units):
        for d in range(1, min(max_distance, len(text) - 1) + 1):
            sums[row, d - 1] = np.einsum("td,td->", text[d:], text[:-d])
            pairs[row, d - 1] = len(text) - d
    return sums, pairs


def _contrasts(
    units: list[np.ndarray], sentences: list[np.ndarray], max_distance: int
) -> np.ndarray:
    """Within minus across, mean over distances that have both; NaN for a text without any."""
    values = np.full(len(units), np.nan)
    for row, (text, ids) in enumerate(zip(units, sentences, strict=True)):
        gaps = []
        for d in range(1, min(max_distance, len(text) - 1) + 1):
            cosines = np.einsum("td,td->t", text[d:], text[:-d])
            same = ids[d:] == ids[:-d]
            if same.any() and not same.all():
                gaps.append(cosines[same].mean() - cosines[~same].mean())
        if gaps:
            values[row] = np.mean(gaps)
    return values


def _high_shares(texts: list[np.ndarray], threshold: float) -> np.ndarray:
    from scipy.fft import dct

    values = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        if len(text) < 4:
            continue
        energy = np.square(dct(text, axis=0, norm="ortho")).sum(axis=1)
        high = np.arange(len(text)) > threshold * (len(text) - 1)
        if energy.sum() > 0.0:
            values[row] = energy[high].sum() / energy.sum()
    return values


def _ratio(sums: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.divide(sums, pairs, out=np.full(len(sums), np.nan), where=pairs > 0)
