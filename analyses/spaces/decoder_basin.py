"""The decoder's basin: how far a latent may be moved before another token is read.

A text decoder switches tokens abruptly, and it reads the end points of an ODE, never clean latents.
Lengths are in units of each column's standard deviation, so that spaces of any scale can be
compared; a step of radius r has the root mean square r per dimension in every direction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from analyses.numerics.neighbors import NeighborConfig, nearest_of_other_group
from analyses.numerics.settings import check_at_least, check_choice
from analyses.paths.decoder_readings import (
    LatentDecoder,
    check_latents,
    read_latents,
    read_token_ids,
)
from analyses.result import Result, undefined
from analyses.statistics.intervals import (
    BootstrapConfig,
    grouped_bootstrap,
    interval_from_samples,
    resample_counts,
)

Direction = Literal["isotropic", "boundary"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderBasinConfig:
    """Settings of the basin probes.

    Attributes:
        radii: Noise levels in units of latent standard deviation, rising from above 0.
        direction: `isotropic` Gaussian noise, or `boundary`: straight towards the nearest latent
            that decodes to another token.
        num_draws: Noise draws that are averaged; one suffices for `boundary`, which has none.
        batch_size: Texts decoded at once.
        bootstrap: Interval, over texts.
        seed: Seed of the noise, the same at every radius.
    """

    radii: tuple[float, ...] = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
    direction: Direction = "isotropic"
    num_draws: int = 1
    batch_size: int = 64
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip((0.0, *self.radii), self.radii, strict=False))
        if not self.radii or not rising:
            raise ValueError(f"radii must rise from above 0, got {self.radii}")
        check_choice(self, "direction", Direction)
        check_at_least(self, 1, "num_draws", "batch_size")
        check_at_least(self, 0, "seed")


def decoder_basin(
    features: np.ndarray,
    decode: LatentDecoder,
    mask: np.ndarray | None = None,
    config: DecoderBasinConfig | None = None,
) -> Result:
    """Half-flip radius r50: the noise level at which half of the tokens decode to another.

    Flip rate at radius r: share of real tokens whose `argmax decode(z + r std u)` differs from
    `argmax decode(z)`, with u standard normal (`isotropic`) or of length sqrt(D) towards the
    nearest latent of another decoded token, in units of std (`boundary`). All positions move at
    once, as a sampler's errors do. r50 interpolates the rate linearly between radii, from
    (0, 0). Invariant to scale and shift of each column if the decoder follows them.

    Args:
        features: (B, L, D) latents as the flow sees them.
        decode: Latents (B, L, D) float32 to logits (B, L, V).
        mask: (B, L) bool, True = a real token; all by default.
        config: Radii, direction, batch size, interval.

    Returns:
        Score in latent standard deviations, higher = wider basins; chance 0, a decoder without
        basins. Undefined where the largest radius flips less than half. `detail["flip_rate"]`
        holds the curve, `["area"]` its mean over radii weighted by their spacing,
        `["flip_ceiling"]` the flip rate of tokens drawn by their frequency.
    """
    config = config or DecoderBasinConfig()
    name = f"decoder_basin.r50.{config.direction}"
    latents, real = check_latents(features, mask)
    std = latents[real].std(axis=0, dtype=np.float64)
    clean = read_token_ids(latents, decode, config.batch_size)
    if config.direction == "boundary" and len(np.unique(clean[real])) < 2:
        return undefined(name, "all tokens decode alike, so there is no boundary", len(latents))
    flips = np.zeros((len(latents), len(config.radii)))
    for step in _steps(latents, clean, real, std, config):
        for place, radius in enumerate(config.radii):
            noised = read_token_ids(latents + radius * step, decode, config.batch_size)
            flips[:, place] += ((noised != clean) & real).sum(axis=1)
    flips /= config.num_draws if config.direction == "isotropic" else 1
    return _result(name, flips, real.sum(axis=1), clean[real], config)


def decoder_margin(
    features: np.ndarray,
    decode: LatentDecoder,
    mask: np.ndarray | None = None,
    config: DecoderBasinConfig | None = None,
) -> Result:
    """Mean top-2 margin of the decoder's logits on given latents, and its entropy.

    Call it on clean, noised, flow-predicted and ODE-end latents and compare: a fall from clean to
    ODE-end is the gap that the sampler opens.

    Args:
        features: (B, L, D) latents as the flow sees them.
        decode: Latents (B, L, D) float32 to logits (B, L, V).
        mask: (B, L) bool, True = a real token; all by default.
        config: Batch size, interval.

    Returns:
        Score >= 0 in nats of log odds; chance is the margin on Gaussian latents of equal mean and
        standard deviation per column. `detail["entropy"]` in nats; interval over texts.
    """
    config = config or DecoderBasinConfig()
    latents, real = check_latents(features, mask)
    readings = read_latents(latents, decode, config.batch_size)
    if not np.isfinite(readings.margin[real]).all():
        return undefined("decoder_basin.margin", "logits are infinite", int(real.sum()))
    texts = np.nonzero(real)[0]
    interval = grouped_bootstrap(readings.margin[real], texts, config.bootstrap)
    chance = read_latents(_gaussian_like(latents, real, config.seed), decode, config.batch_size)
    return Result.of(
        "decoder_basin.margin",
        interval,
        chance=float(chance.margin[real].mean()),
        higher_is_better=True,
        detail={
            "entropy": float(readings.entropy[real].mean()),
            "chance_entropy": float(chance.entropy[real].mean()),
            "margin_quantiles": np.quantile(readings.margin[real], [0.05, 0.25, 0.5, 0.75, 0.95]),
        },
        per_item={
            "text": texts,
            "margin": readings.margin[real],
            "entropy": readings.entropy[real],
            "token_id": readings.token_ids[real],
        },
    )


def half_flip_radius(radii: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """First radius at which each curve of `rates` (R, K) reaches 1/2, (R,); NaN where none does."""
    grid = np.concatenate([[0.0], radii])
    curves = np.concatenate([np.zeros((len(rates), 1)), rates], axis=1)
    reached = curves >= 0.5
    place = reached.argmax(axis=1)
    rows = np.arange(len(curves))
    before, after = curves[rows, place - 1], curves[rows, place]
    share = (0.5 - before) / np.where(after > before, after - before, 1.0)
    radius = grid[place - 1] + share * (grid[place] - grid[place - 1])
    return np.where(reached.any(axis=1), radius, np.nan)


def _steps(
    latents: np.ndarray,
    clean: np.ndarray,
    real: np.ndarray,
    std: np.ndarray,
    config: DecoderBasinConfig,
) -> Iterable[np.ndarray]:
    """Moves (B, L, D) of root mean square 1 std per dimension; drawn lazily, one at a time."""
    if config.direction == "boundary":
        return [_boundary_step(latents, clean, real, std)]
    rng = np.random.default_rng(config.seed)
    return (std * rng.standard_normal(latents.shape) for _ in range(config.num_draws))


def _boundary_step(
    latents: np.ndarray, clean: np.ndarray, real: np.ndarray, std: np.ndarray
) -> np.ndarray:
    # A column without spread cannot be measured in its own units: it does not move.
    scaled = latents[real].astype(np.float64) / np.where(std > 0.0, std, np.inf)
    found = nearest_of_other_group(scaled, clean[real], NeighborConfig(k=1, metric="euclidean"))
    towards = scaled[found.indices[:, 0]] - scaled
    lengths = np.linalg.norm(towards, axis=1, keepdims=True)
    step = np.zeros(latents.shape)
    step[real] = std * np.sqrt(latents.shape[2]) * towards / np.where(lengths > 0, lengths, 1.0)
    return step


def _result(
    name: str,
    flips: np.ndarray,
    sizes: np.ndarray,
    token_ids: np.ndarray,
    config: DecoderBasinConfig,
) -> Result:
    radii, used = np.array(config.radii), sizes > 0
    rates = flips.sum(axis=0) / sizes.sum()
    frequency = np.unique(token_ids, return_counts=True)[1] / len(token_ids)
    grid = np.concatenate([[0.0], radii])
    detail = {
        "radii": config.radii,
        "flip_rate": rates,
        "area": float(np.trapezoid(np.concatenate([[0.0], rates]), grid) / grid[-1]),
        "flip_ceiling": float(1.0 - np.square(frequency).sum()),
    }
    score = float(half_flip_radius(radii, rates[None])[0])
    if np.isnan(score):
        reason = f"only {rates[-1]:.3f} of tokens flip at the largest radius, {radii[-1]:g}"
        return undefined(name, reason, int(sizes.sum()), detail=detail)
    rng = np.random.default_rng(config.bootstrap.seed)
    counts = resample_counts(int(used.sum()), config.bootstrap.num_resamples, rng)
    curves = [(part @ flips[used]) / (part @ sizes[used])[:, None] for part in counts]
    samples = half_flip_radius(radii, np.concatenate(curves))
    # A resample that never reaches one half lies beyond the grid: it counts as its end.
    samples = np.where(np.isnan(samples), radii[-1], samples)
    interval = interval_from_samples(score, samples, int(used.sum()), config.bootstrap)
    return Result.of(
        name,
        interval,
        chance=0.0,
        n=int(sizes.sum()),
        higher_is_better=True,
        detail=detail,
    )


def _gaussian_like(latents: np.ndarray, real: np.ndarray, seed: int) -> np.ndarray:
    tokens = latents[real].astype(np.float64)
    noise = np.random.default_rng(seed).standard_normal(latents.shape)
    return tokens.mean(axis=0) + tokens.std(axis=0) * noise
