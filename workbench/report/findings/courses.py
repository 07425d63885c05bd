"""Numbers over the course of training: a measure at one step, and when a label became readable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.report.findings.ground import Ground, Measured, NotDefinedError

if TYPE_CHECKING:
    import pandas as pd


def course(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """A measure at one step of training, as stored by `probe --checkpoints`."""
    from workbench.probes.course.over_training import read_course

    run = ground.run(source["arm"], source["seed"])
    table: pd.DataFrame = ground.once(("course", run.name), lambda: read_course(run))
    place = (
        (table["stage"] == source["stage"])
        & (table["step"] == source["step"])
        & (table["measure"] == source["measure"])
    )
    if not place.any():
        raise NotDefinedError(f"{run.name} has no such measure at step {source['step']} any more")
    row = table[place].iloc[0]
    value, low, high, chance = (_number(row[key]) for key in ("score", "low", "high", "chance"))
    return Measured(value=value, low=low, high=high, chance=chance, recomputed=False)


def onset(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """How much earlier a label became readable in one arm than in another, as a ratio of steps."""
    from workbench.probes.course.onsets import compare_readings

    a, b = source["a"], source["b"]
    for arm in (a, b):
        ground.run(arm, ground.study.config.seeds[0])
    rows = ground.once(("onsets", a, b), lambda: compare_readings(ground.study, a, b))
    for row in rows:
        if row["label"] == source["label"]:
            return Measured(value=row["ratio"], low=row["low"], high=row["high"], n=row["texts"])
    raise NotDefinedError(f"no label {source['label']!r} was probed over both trainings")


def _number(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
