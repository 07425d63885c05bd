"""What a probe or a metric returns, and how it becomes JSON.

A `Result` is one headline number with its chance level, interval and number of points. A
number that cannot exist is None with a `reason`, never 0, 1 or NaN. `PerText` holds one value
per text, so that arms are compared by a paired bootstrap over prompts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

import numpy as np

from analyses.statistics.intervals import BootstrapConfig, Interval, bootstrap


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One probe's outcome.

    Attributes:
        name: Metric name, such as `knn_coherence.token.other_id`.
        score: The headline, in the unit that the probe's docstring states; None if undefined.
        chance: What a space without the property would score; None where there is no such thing.
        low: Lower end of the score's interval.
        high: Upper end of the score's interval.
        n: Number of points the score rests on.
        higher_is_better: Direction for verdicts; None where neither end is good.
        detail: Small named values (numbers, strings, lists, nested mappings), for JSON.
        per_item: Columns of equal length with one entry per point, for Parquet.
        reason: Why there is no score; None if and only if there is one.
    """

    name: str
    score: float | None
    n: int
    chance: float | None = None
    low: float | None = None
    high: float | None = None
    higher_is_better: bool | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    per_item: Mapping[str, np.ndarray] = field(default_factory=dict)
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.score is None) != (self.reason is not None):
            raise ValueError(f"{self.name}: a missing score needs a reason, and only then")
        for key in ("score", "chance", "low", "high"):
            value = getattr(self, key)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{self.name}: {key} must be finite or None, got {value}")
        lengths = {len(column) for column in self.per_item.values()}
        if len(lengths) > 1:
            raise ValueError(f"{self.name}: per_item columns differ in length: {sorted(lengths)}")

    @classmethod
    def of(cls, name: str, interval: Interval, **rest: Any) -> Result:
        """A result whose score, ends and n are an interval's, unless `rest` gives another."""
        known = {"score": interval.mean, "low": interval.low, "high": interval.high}
        return cls(name=name, **{**known, "n": interval.n, **rest})

    def to_json(self) -> dict[str, Any]:
        """All but `per_item` as JSON values; `reasons` names every null that was not finite."""
        reasons: dict[str, str] = {}
        body = {
            key: json_safe(getattr(self, key), path=key, reasons=reasons)
            for key in ("name", "score", "chance", "low", "high", "n", "higher_is_better", "detail")
        }
        return {**body, "reason": self.reason, "reasons": reasons}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Result:
        """Rebuild a result from `to_json`; `per_item` stays empty.

        Raises:
            ValueError: If a key is unknown.
        """
        known = set(cls.__dataclass_fields__) | {"reasons"}
        unknown = sorted(set(body) - known)
        if unknown:
            raise ValueError(f"result has unknown keys {unknown}; known: {sorted(known)}")
        return cls(**{key: value for key, value in body.items() if key != "reasons"})


def undefined(name: str, reason: str, n: int, **extra: Any) -> Result:
    """A result that does not exist, with the reason why."""
    return Result(name=name, score=None, n=n, reason=reason, **extra)


@dataclass(frozen=True, kw_only=True, slots=True)
class PerText:
    """Metrics with one value per text.

    Attributes:
        values: Metric name -> (n,) float64, NaN where the metric is not defined for a text.
        detail: Corpus-level numbers and counts.
    """

    values: Mapping[str, np.ndarray]
    detail: Mapping[str, Any] = field(default_factory=dict)

    def intervals(self, config: BootstrapConfig | None = None) -> dict[str, Interval]:
        """Mean and bootstrap interval over texts for every metric."""
        return {name: bootstrap(values, config) for name, values in self.values.items()}


def json_safe(value: Any, *, path: str = "", reasons: dict[str, str] | None = None) -> Any:
    """Turn nested dataclasses, mappings, sequences and NumPy values into strict JSON values.

    A number that is not finite becomes None and, where `reasons` is given, an entry that names
    its path and what it was.

    Raises:
        ValueError: If a value has no JSON form.
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return _finite_or_none(value, path, reasons)
    if isinstance(value, Mapping):
        return {
            str(key): json_safe(item, path=f"{path}.{key}", reasons=reasons)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            json_safe(item, path=f"{path}.{index}", reasons=reasons)
            for index, item in enumerate(value)
        ]
    raise ValueError(f"{path or 'value'} has no JSON form: {type(value).__name__}")


def _finite_or_none(value: float, path: str, reasons: dict[str, str] | None) -> float | None:
    if math.isfinite(value):
        return value
    if reasons is not None:
        reasons[path.lstrip(".")] = f"not finite ({value})"
    return None
