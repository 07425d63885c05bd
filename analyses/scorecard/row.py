"""One line of the scorecard, and its flat form for tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from analyses.result import json_safe

Foretelling = Literal["foretells", "foretells the reverse", "not distinguishable"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with its bootstrap interval over arms and its chance level; None if undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    chance: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorecardRow:
    """One predictor against one generation score.

    Attributes:
        predictor: Probe or baseline.
        score: Generation score.
        is_baseline: Whether the predictor is a trivial baseline.
        num_runs: Runs with both values.
        num_arms: Arms among them; the number of independent points.
        spearman: Rho over runs, oriented.
        kendall: Tau-b over runs, oriented.
        partial: Spearman given the control baseline.
        gain: Spearman less that of the control baseline (0 if that is constant), same runs.
        top_k_overlap: Share of the best k arms found; chance k / arms.
        regret: Selection regret, 0 = the best arm, 1 = chance.
        without_family: Family left out -> Spearman of the rest.
        p_value: Two-sided permutation p-value of Spearman over arm means.
        adjusted_p: After Holm over all predictors of this score, baselines included.
        verdict: From the interval of `spearman` and `adjusted_p`.
        reason: Why there are no numbers.
    """

    predictor: str
    score: str
    is_baseline: bool
    num_runs: int
    num_arms: int
    spearman: Estimate = Estimate(value=None)
    kendall: Estimate = Estimate(value=None)
    partial: Estimate = Estimate(value=None)
    gain: Estimate = Estimate(value=None)
    top_k_overlap: Estimate = Estimate(value=None)
    regret: Estimate = Estimate(value=None)
    without_family: Mapping[str, float | None] = field(default_factory=dict)
    p_value: float | None = None
    adjusted_p: float | None = None
    verdict: Foretelling = "not distinguishable"
    reason: str | None = None

    def flat(self) -> dict[str, Any]:
        """One level of JSON values, for Parquet: `spearman`, `spearman_low`, and so on."""
        body: dict[str, Any] = {}
        for key, value in asdict(self).items():
            if key == "without_family":
                known = [v for v in value.values() if v is not None]
                body["without_family_low"] = min(known, default=None)
                body["without_family_high"] = max(known, default=None)
            elif isinstance(value, dict):
                names = {"value": key, "low": f"{key}_low", "high": f"{key}_high"}
                body |= {names.get(part, f"{key}_{part}"): v for part, v in value.items()}
            else:
                body[key] = value
        return json_safe(body)


def by_strength(row: ScorecardRow) -> tuple[bool, float]:
    """A key that sorts rows the strongest first: those told from zero, then by absolute Spearman.

    A row that only a few arms have may correlate perfectly and tell nothing.
    """
    return row.verdict == "not distinguishable", -abs(row.spearman.value or 0.0)
