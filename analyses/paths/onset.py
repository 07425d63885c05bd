"""When a label becomes readable over a training, and whether one arm reads it earlier.

There are two answers. From the *clear* step on, the probe's interval stays above chance and above
shuffled labels; it is one of the steps that were kept. At the *half* step, half of what training
adds to the untrained space is reached; it is interpolated between kept steps along log2(1 + step),
so it has an interval. Both arms are compared at one level, half way to the lower of their two ends:
otherwise the arm that ends higher would have a higher bar. If only one arm ever rises above its
untrained space, there is no common level, and the result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from analyses.numerics.settings import check_share
from analyses.statistics.intervals import BootstrapConfig, resample_counts

Order = Literal["earlier", "later", "rises alone", "never rises", "not distinguishable"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingCurve:
    """A probe's accuracy over one run's training, text by text.

    Attributes:
        steps: (S,) int, ascending; the first is the untrained space.
        hits: (S, G) rows of each text that the probe gets right.
        rows: (G,) rows of each text.
        low: (S,) lower ends of the accuracies' intervals.
        bar: what an interval must clear: the larger of the majority class and the upper end for
            shuffled labels.
    """

    steps: np.ndarray
    hits: np.ndarray
    rows: np.ndarray
    low: np.ndarray
    bar: float

    def __post_init__(self) -> None:
        shape = (len(self.steps), len(self.rows))
        if self.hits.shape != shape or self.low.shape != shape[:1]:
            raise ValueError(
                f"hits must be {shape} and low {shape[:1]}, got {self.hits.shape}, {self.low.shape}"
            )
        if len(self.steps) < 2 or np.any(np.diff(self.steps) <= 0):
            raise ValueError(f"steps must ascend and be two at least, got {list(self.steps)}")

    @property
    def clear_step(self) -> int | None:
        """First step from which on the interval stays above the bar; None if it ends below."""
        below = np.flatnonzero(self.low <= self.bar)
        first = 0 if len(below) == 0 else int(below[-1]) + 1
        return int(self.steps[first]) if first < len(self.steps) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class OnsetConfig:
    """Share of the rise that counts as readable, and how intervals are drawn.

    With more undefined resamples (no rise) than `most_undefined` there is no interval.
    """

    share: float = 0.5
    most_undefined: float = 0.05
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    def __post_init__(self) -> None:
        check_share(self, "share", "most_undefined")


@dataclass(frozen=True, kw_only=True, slots=True)
class Onset:
    """The half step with its interval; None and a reason where there is no rise to speak of."""

    step: float | None
    low: float | None
    high: float | None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OnsetContrast:
    """Two arms' half steps at a common level.

    Attributes:
        a: of the first arm.
        b: of the second.
        ratio: (1 + step of a) over (1 + step of b); below 1, a is earlier.
        low: lower end of its interval.
        high: upper end.
        order: of a against b; without a common level, whether a alone has a certain rise or b.
        num_texts: texts resampled.
        num_seeds: runs of each arm; with one, an interval speaks of texts and not of trainings.
    """

    a: Onset
    b: Onset
    ratio: float | None
    low: float | None
    high: float | None
    order: Order
    num_texts: int
    num_seeds: int


def compare_onsets(
    a: Sequence[ReadingCurve], b: Sequence[ReadingCurve], config: OnsetConfig | None = None
) -> OnsetContrast:
    """Half steps of two arms at one level, and which comes first.

    Args:
        a: one curve per seed, all over the same texts.
        b: likewise, paired with `a` seed by seed.
        config: share of the rise, resampling.

    Returns:
        Intervals by a bootstrap of texts, crossed with seeds where there are several; steps are
        averaged over seeds as log2(1 + step). Few seeds give too narrow an interval.

    Raises:
        ValueError: the arms do not pair, or curves are over different texts.
    """
    config = config or OnsetConfig()
    if len(a) != len(b) or not a:
        raise ValueError(f"arms must have equally many seeds, at least one, got {len(a)}, {len(b)}")
    sizes = {len(curve.rows) for curve in (*a, *b)}
    if len(sizes) != 1:
        raise ValueError(f"curves must be over the same texts, got {sorted(sizes)} of them")
    (num_texts,) = sizes
    counts = _draws(num_texts, config.bootstrap)
    places = [
        _places(first, second, counts, config.share) for first, second in zip(a, b, strict=True)
    ]
    table = np.array(places)  # (seeds, 2, 1 + R)
    left, right, difference = _over_seeds(
        [table[:, 0], table[:, 1], table[:, 0] - table[:, 1]], config.bootstrap
    )
    ratio = _interval(difference, config)
    rises = [_rises(arm, counts, config) for arm in (a, b)]
    return OnsetContrast(
        a=_onset(left, config),
        b=_onset(right, config),
        ratio=None if ratio is None else 2 ** ratio[0],
        low=None if ratio is None else 2 ** ratio[1],
        high=None if ratio is None else 2 ** ratio[2],
        order=_order(ratio, rises),
        num_texts=num_texts,
        num_seeds=len(a),
    )


def _draws(num_texts: int, config: BootstrapConfig) -> np.ndarray:
    """(1 + R, G) counts: every text once, then the resamples."""
    rng = np.random.default_rng(config.seed)
    drawn = resample_counts(num_texts, config.num_resamples, rng)
    return np.concatenate([np.ones((1, num_texts)), *drawn])


def _places(
    a: ReadingCurve, b: ReadingCurve, counts: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """log2(1 + half step) of both curves (1 + R,) at their common level; NaN without a rise."""
    curves = [counts @ c.hits.T / (counts @ c.rows)[:, None] for c in (a, b)]
    start = np.maximum(curves[0][:, 0], curves[1][:, 0])
    end = np.minimum(curves[0][:, -1], curves[1][:, -1])
    level = np.where(end > start, start + share * (end - start), np.nan)
    left, right = (
        _crossing(np.log2(1.0 + c.steps), accuracy, level)
        for c, accuracy in zip((a, b), curves, strict=True)
    )
    return left, right


def _crossing(x: np.ndarray, y: np.ndarray, level: np.ndarray) -> np.ndarray:
    """First place where each row of y (R, S) reaches its level (R,), by straight lines over x."""
    reached = y >= level[:, None]
    after = np.clip(reached.argmax(axis=1), 1, None)
    rows = np.arange(len(y))
    low, high = y[rows, after - 1], y[rows, after]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip((level - low) / (high - low), 0.0, 1.0)
    place = x[after - 1] + share * (x[after] - x[after - 1])
    return np.where(reached.any(axis=1), np.where(reached[:, 0], x[0], place), np.nan)


def _over_seeds(tables: Sequence[np.ndarray], config: BootstrapConfig) -> list[np.ndarray]:
    """Means over seeds of tables (seeds, 1 + R); in resamples, over drawn seeds."""
    num_seeds, columns = tables[0].shape
    rng = np.random.default_rng([config.seed, 1])
    drawn = np.concatenate(list(resample_counts(num_seeds, columns - 1, rng)))
    weights = np.concatenate([np.ones((1, num_seeds)), drawn]).T / num_seeds
    return [np.where(weights > 0, table * weights, 0.0).sum(axis=0) for table in tables]


def _interval(samples: np.ndarray, config: OnsetConfig) -> tuple[float, float, float] | None:
    """Observed value, low and high; None where it or too many resamples are undefined."""
    observed, drawn = samples[0], samples[1:]
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(observed) or len(known) < (1 - config.most_undefined) * len(drawn):
        return None
    level = config.bootstrap.level
    low, high = np.quantile(known, [0.5 - level / 2, 0.5 + level / 2])
    return float(observed), float(low), float(high)


def _onset(samples: np.ndarray, config: OnsetConfig) -> Onset:
    found = _interval(samples, config)
    if found is None:
        reason = "no level to which both arms certainly rise above the untrained space"
        return Onset(step=None, low=None, high=None, reason=reason)
    step, low, high = (2**value - 1 for value in found)
    return Onset(step=step, low=low, high=high)


def _rises(arm: Sequence[ReadingCurve], counts: np.ndarray, config: OnsetConfig) -> bool:
    """Whether training certainly adds to what the untrained space shows, over all seeds."""
    gains = np.array([counts @ (c.hits[-1] - c.hits[0]) / (counts @ c.rows) for c in arm])
    (gain,) = _over_seeds([gains], config.bootstrap)
    found = _interval(gain, config)
    return found is not None and found[1] > 0


def _order(ratio: tuple[float, float, float] | None, rises: Sequence[bool]) -> Order:
    if ratio is None and rises[0] != rises[1]:
        return "rises alone" if rises[0] else "never rises"
    if ratio is None or ratio[1] <= 0 <= ratio[2]:
        return "not distinguishable"
    return "earlier" if ratio[2] < 0 else "later"
