"""Manifold continuity (text iFID): is the space between two neighbours still text?

Each text's latents are interpolated with those of a near neighbour, decoded, and the decoded
texts are compared with the originals as two clouds of sentence embeddings. At alpha 0 this is
reconstruction, and small alpha repeats it; near 1/2 it asks what lies in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.features import check_features
from analyses.numerics.neighbors import NeighborConfig, nearest_neighbors
from analyses.numerics.settings import check_at_least
from analyses.paths.decoder_readings import check_latents
from analyses.result import Result
from analyses.statistics.half_samples import HalfSampleConfig, half_sample_interval
from analyses.texts.frechet import frechet_distance

# Latents (B, L, D) float32, as the flow sees them, to B texts.
TextDecoder = Callable[[np.ndarray], Sequence[str]]
# B texts to embeddings (B, E).
TextEmbedder = Callable[[Sequence[str]], np.ndarray]
# B texts to one number per text (B,), NaN where it is not defined for a text.
TextScorer = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifoldContinuityConfig:
    """Settings of the interpolation.

    Attributes:
        alpha: Interpolation weight of the neighbour that the score is taken at.
        sweep: Further weights for the curve; 0 is reconstruction.
        k: The partner is drawn among the k nearest texts; 1 = the nearest.
        batch_size: Texts decoded at once.
        half_samples: Interval.
        seed: Seed of the partners.
    """

    alpha: float = 0.5
    sweep: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5)
    k: int = 1
    batch_size: int = 64
    half_samples: HalfSampleConfig = field(
        default_factory=lambda: HalfSampleConfig(num_resamples=20)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        for value in (self.alpha, *self.sweep):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"alpha and sweep must lie in [0, 1], got {value}")
        check_at_least(self, 1, "k", "batch_size")
        check_at_least(self, 0, "seed")


def manifold_continuity(
    features: np.ndarray,
    texts: Sequence[str],
    decode: TextDecoder,
    embed: TextEmbedder,
    config: ManifoldContinuityConfig | None = None,
    scorers: Mapping[str, TextScorer] | None = None,
) -> Result:
    """Frechet distance between the originals and texts decoded halfway to a near neighbour.

    Partner of text i: drawn among its k nearest texts by centred cosine of the flattened
    latents. Interpolation: spherical, position by position. Distance: Gaussians of the sentence
    embeddings. It grows with fewer texts: compare equal N only.

    Args:
        features: (B, L, D) latents as the flow sees them, B >= 6.
        texts: The B original texts.
        decode: Latents to texts.
        embed: Texts to embeddings (B, E), the same for every arm compared.
        config: alpha, sweep, k, interval.
        scorers: Further measures of the decoded texts (nats per token under a language model,
            share of valid n-grams); their means join the curve.

    Returns:
        Score >= 0 in squared embedding units, lower = smoother; chance is the same with random
        partners. `detail["curve"]` has one entry an alpha: `frechet`, `unchanged` (share of texts
        that decode as at alpha 0), `snapped` (as the partner does at alpha 0), and each scorer.

    Raises:
        ValueError: On NaN or infinity in latents or embeddings, or counts that do not match.

    Source: iFID, arXiv 2603.05630, with text embeddings in place of Inception features;
    Shoemake 1985 for spherical interpolation.
    """
    config = config or ManifoldContinuityConfig()
    latents, _ = check_latents(features, None)
    if len(texts) != len(latents):
        raise ValueError(f"texts must pair with features, got {len(texts)} and {len(latents)}")
    if len(latents) < 6:
        raise ValueError(f"features must hold at least 6 texts, got {len(latents)}")
    original = _embedded(list(texts), embed)
    near, far = _near_partners(latents, config), _random_partners(len(latents), config.seed)
    plain = _decoded(latents, near, 0.0, decode, config)
    curve: dict[str, dict[str, float | None]] = {}
    halfway = original
    for alpha in sorted({config.alpha, *config.sweep}):
        decoded = plain if alpha == 0.0 else _decoded(latents, near, alpha, decode, config)
        embedded = _embedded(decoded, embed)
        halfway = embedded if alpha == config.alpha else halfway
        curve[f"{alpha:g}"] = {
            "frechet": frechet_distance(original, embedded),
            "unchanged": _agreement(decoded, plain),
            "snapped": _agreement(decoded, [plain[j] for j in near]),
            **_means(decoded, scorers or {}),
        }
    random = _embedded(_decoded(latents, far, config.alpha, decode, config), embed)
    score = curve[f"{config.alpha:g}"]["frechet"]
    assert score is not None
    interval = half_sample_interval(
        lambda kept: frechet_distance(original[kept], halfway[kept]),
        score,
        len(latents),
        config.half_samples,
    )
    return Result.of(
        "manifold_continuity.frechet",
        interval,
        chance=frechet_distance(original, random),
        higher_is_better=False,
        detail={"alpha": config.alpha, "k": config.k, "curve": curve},
        per_item={"partner": near},
    )


def slerp(first: np.ndarray, second: np.ndarray, alpha: float) -> np.ndarray:
    """Spherical interpolation of vectors along the last axis, same shapes; 0 gives `first`.

    `[sin((1 - a) w) first + sin(a w) second] / sin w` with w the angle between the two. Vectors
    that are parallel, opposite or zero have no unique arc and are interpolated linearly.
    """
    a, b = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cosine = (a * b).sum(axis=-1) / np.where(lengths > 0.0, lengths, 1.0)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    sine = np.sin(angle)
    curved = (sine > 1e-4) & (lengths > 0.0)
    base = np.where(curved, sine, 1.0)
    left = np.where(curved, np.sin((1.0 - alpha) * angle) / base, 1.0 - alpha)
    right = np.where(curved, np.sin(alpha * angle) / base, alpha)
    return left[..., None] * a + right[..., None] * b


def _near_partners(latents: np.ndarray, config: ManifoldContinuityConfig) -> np.ndarray:
    flat = latents.reshape(len(latents), -1)
    found = nearest_neighbors(flat, NeighborConfig(k=config.k, metric="cosine"))
    drawn = np.random.default_rng(config.seed).integers(found.k, size=len(latents))
    return found.indices[np.arange(len(latents)), drawn]


def _random_partners(n: int, seed: int) -> np.ndarray:
    """A random partner for each text, never itself."""
    shift = np.random.default_rng(seed).integers(1, n, size=n)
    return (np.arange(n) + shift) % n


def _decoded(
    latents: np.ndarray,
    partners: np.ndarray,
    alpha: float,
    decode: TextDecoder,
    config: ManifoldContinuityConfig,
) -> list[str]:
    texts: list[str] = []
    for start in range(0, len(latents), config.batch_size):
        rows = slice(start, start + config.batch_size)
        mixed = slerp(latents[rows], latents[partners[rows]], alpha)
        batch = list(decode(mixed.astype(np.float32)))
        if len(batch) != len(mixed):
            raise ValueError(f"decode must return {len(mixed)} texts, got {len(batch)}")
        texts.extend(batch)
    return texts


def _embedded(texts: list[str], embed: TextEmbedder) -> np.ndarray:
    vectors = check_features(embed(texts), name="embeddings")
    if len(vectors) != len(texts):
        raise ValueError(f"embed must return {len(texts)} rows, got {len(vectors)}")
    return vectors


def _agreement(texts: list[str], others: list[str]) -> float:
    return float(np.mean([text == other for text, other in zip(texts, others, strict=True)]))


def _means(texts: list[str], scorers: Mapping[str, TextScorer]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for name, scorer in scorers.items():
        values = np.asarray(scorer(texts), dtype=np.float64)
        known = values[np.isfinite(values)]
        means[name] = float(known.mean()) if known.size else None
    return means
