"""Energy distance between written and human texts, in standard deviations of its null.

Nothing is trained, and any difference of the two distributions counts: 0 is what human text scores
on average, and above about 2 chance does not reach. The number grows with the number of texts, so
compare it at equal n only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analyses.numerics.settings import check_at_least
from analyses.result import Result, undefined
from analyses.statistics.half_samples import HalfSampleConfig, half_sample_interval
from analyses.statistics.intervals import Contrast, Interval
from analyses.statistics.significance import null_from_samples
from analyses.texts.c2st import paired_features


@dataclass(frozen=True, kw_only=True, slots=True)
class EnergyConfig:
    """How the null and the interval are drawn.

    Attributes:
        num_permutations: Draws of the null, in which the two texts of a prompt change sides.
        seed: Of the null.
        halves: Half samples of the prompts, for the interval.
    """

    num_permutations: int = 500
    seed: int = 0
    halves: HalfSampleConfig = field(default_factory=HalfSampleConfig)

    def __post_init__(self) -> None:
        check_at_least(self, 2, "num_permutations")
        check_at_least(self, 0, "seed")


@dataclass(frozen=True)
class _Pairs:
    """What one arm's distances come down to.

    Attributes:
        excess: (n, n) float64, how much further apart the texts of prompts i and j lie across
            the two sides than within them; its mean off the diagonal is the energy distance.
        scale: standard deviation of that mean under the null.
        null: draws of it (P,) under the null.
    """

    excess: np.ndarray
    scale: float
    null: np.ndarray


def energy_distance(
    human: np.ndarray,
    written: np.ndarray,
    config: EnergyConfig | None = None,
    *,
    featurizer: str,
    empty: np.ndarray | None = None,
) -> Result:
    """Energy distance of two samples over its standard deviation under the null (a z-score).

    Features are standardised over both samples. Row i of both arrays belongs to prompt i; pairs
    of the same prompt are left out, which makes the estimate unbiased (it may fall below 0). Under
    the null the two texts of a prompt are exchangeable. An empty text keeps a row of zeros.
    Time O(n^2 F), memory O(n^2): a third of a second at 400 x 384 on one core.

    Args:
        human: (n, F) features of the human texts.
        written: (n, F) features of the written texts.
        config: Null and interval.
        featurizer: Name of the model that made the features.
        empty: (n,) bool, written texts without a token; their feature rows are not read.

    Raises:
        ValueError: If the rows do not pair or a feature that is read is not finite.

    Source: Szekely and Rizzo 2013, "Energy statistics"; the pair-wise null as in Gretton et al.
    2012, "A kernel two-sample test", section 3.
    """
    config = config or EnergyConfig()
    name = f"energy[{featurizer}]"
    pairs = _pairs(human, written, empty, config)
    n = len(pairs.excess)
    if pairs.scale == 0.0:
        reason = "no text differs from the human text of its prompt"
        return undefined(name, reason, n, chance=0.0, higher_is_better=False)
    distance = _off_diagonal_mean(pairs.excess)
    interval = _interval([[pairs]], [1.0], distance / pairs.scale, n, config)
    return Result.of(
        name,
        interval,
        chance=0.0,
        higher_is_better=False,
        detail={
            "distance": distance,
            "null": null_from_samples(distance, pairs.null),
            "num_empty": 0 if empty is None else int(np.sum(empty)),
        },
    )


def energy_contrast(
    human: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    config: EnergyConfig | None = None,
    *,
    empty_a: np.ndarray | None = None,
    empty_b: np.ndarray | None = None,
) -> Contrast:
    """Difference a - b of two arms' scores, paired over prompts by shared half samples.

    The p-value, two-sided, is that of a normal distribution with this interval.

    Args:
        human: (n, F) features of the human texts.
        a: (S, n, F) features of the first arm under S run seeds.
        b: As `a`, the second arm.
        config: Null and interval.
        empty_a: (S, n) bool, texts of `a` without a token.
        empty_b: The same for `b`.

    Raises:
        ValueError: If shapes differ or a feature that is read is not finite.
    """
    from scipy.stats import norm

    config = config or EnergyConfig()
    if np.shape(a) != np.shape(b) or np.ndim(a) != 3:
        raise ValueError(f"arms must have one shape (S, n, F), got {np.shape(a)}, {np.shape(b)}")
    arms = [
        [
            _pairs(human, rows, None if gone is None else gone[seed], config)
            for seed, rows in enumerate(runs)
        ]
        for runs, gone in ((a, empty_a), (b, empty_b))
    ]
    n = len(human)
    if any(pairs.scale == 0.0 for runs in arms for pairs in runs):
        reason = "no text of a run differs from the human text of its prompt"
        return Contrast(difference=None, low=None, high=None, n=n, reason=reason)
    difference = _weighted(arms, [1.0, -1.0], np.arange(n))
    interval = _interval(arms, [1.0, -1.0], difference, n, config)
    if interval.low is None or interval.high is None:
        return Contrast(difference=difference, low=None, high=None, n=n, reason=interval.reason)
    half = 0.5 * (interval.high - interval.low)
    p_value = float(2 * norm.sf(abs(difference) * norm.ppf(0.975) / half)) if half else None
    return Contrast(
        difference=difference, low=interval.low, high=interval.high, n=n, p_value=p_value
    )


def _pairs(
    human: np.ndarray, written: np.ndarray, empty: np.ndarray | None, config: EnergyConfig
) -> _Pairs:
    from scipy.spatial.distance import cdist

    first, second, _ = paired_features(human, written, empty)
    pooled = np.vstack([first, second])
    spread = pooled.std(axis=0)
    rows = (pooled - pooled.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    distances = cdist(rows, rows)
    n = len(first)
    across = distances[:n, n:]
    excess = across + across.T - distances[:n, :n] - distances[n:, n:]
    np.fill_diagonal(excess, 0.0)
    # Exchanging the two texts of prompt i turns the sign of row i and of column i.
    rng = np.random.default_rng(config.seed)
    signs = rng.choice([-1.0, 1.0], size=(config.num_permutations, n))
    null = np.einsum("pi,pi->p", signs @ excess, signs) / (n * (n - 1))
    return _Pairs(excess, float(null.std()), null)


def _off_diagonal_mean(excess: np.ndarray) -> float:
    n = len(excess)
    return float(excess.sum() / (n * (n - 1)))


def _weighted(arms: list[list[_Pairs]], weights: list[float], rows: np.ndarray) -> float:
    """Weighted sum over arms of the mean score over run seeds, on some of the prompts."""
    block = np.ix_(rows, rows)
    return float(
        sum(
            weight * np.mean([_off_diagonal_mean(p.excess[block]) / p.scale for p in runs])
            for weight, runs in zip(weights, arms, strict=True)
        )
    )


def _interval(
    arms: list[list[_Pairs]], weights: list[float], observed: float, n: int, config: EnergyConfig
) -> Interval:
    """Interval from half samples; the null's scale stays that of all the prompts."""
    return half_sample_interval(
        lambda rows: _weighted(arms, weights, rows), observed, n, config.halves
    )
