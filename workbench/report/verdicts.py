"""Verdicts on contrasts: which differences stand after a correction for looking at many."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from analyses.statistics.significance import Verdict


def with_verdicts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to each row Holm's p over its family (same pair, same kind of metric) and a verdict.

    An arm is called better or worse (or higher or lower) if the interval excludes zero and Holm's p
    is at most 0.05.
    """
    from analyses.statistics.intervals import Contrast
    from analyses.statistics.significance import holm, verdict

    keys = Contrast.__dataclass_fields__
    for _, group in itertools.groupby(rows, key=lambda r: (r["a"], r["b"], _kind(r["metric"]))):
        members = list(group)
        raw = np.array([np.nan if r["p_value"] is None else r["p_value"] for r in members])
        for row, adjusted in zip(members, holm(raw), strict=True):
            row["p_holm"] = None if np.isnan(adjusted) else float(adjusted)
            contrast = Contrast(**{key: row[key] for key in keys})
            better = row["higher_is_better"]
            row["verdict"] = (
                _direction(verdict(contrast, adjusted_p=row["p_holm"]))
                if better is None
                else verdict(contrast, higher_is_better=better, adjusted_p=row["p_holm"])
            )
    return rows


def _kind(metric: str) -> str:
    return metric.split(".")[0]


def _direction(found: Verdict) -> str:
    """For metrics without a good end: which arm is higher."""
    return {"better": "higher", "worse": "lower"}.get(found, found)
