"""When labels become readable in each arm of a study, from the results of `over_training`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.probes.course.measures import READABLE
from workbench.probes.course.over_training import is_probed, read_course

if TYPE_CHECKING:
    from analyses.paths.onset import ReadingCurve
    from workbench.study.folders import Run, Study


def compare_readings(study: Study, first: str, second: str) -> list[dict[str, Any]]:
    """One row per label set: when it becomes readable in two arms, and whether one is earlier.

    Only seeds with both arms probed count; without one there are no rows.

    Returns:
        Rows with `label`, `seeds`, `texts`; for each arm `clear` (one step per seed) and `half`,
        `half_low`, `half_high`; then `ratio`, `low`, `high` and `order` of the first arm against
        the second.
    """
    from analyses.paths.onset import OnsetConfig, compare_onsets
    from analyses.statistics.intervals import BootstrapConfig

    evaluation = study.config.base.evaluation
    bootstrap = BootstrapConfig(num_resamples=evaluation.num_resamples, seed=evaluation.seed)
    pairs = [
        (study.run(first, seed), study.run(second, seed))
        for seed in study.config.seeds
        if is_probed(study.run(first, seed)) and is_probed(study.run(second, seed))
    ]
    curves = [(reading_curves(a), reading_curves(b)) for a, b in pairs]
    rows = []
    for label in _shared([own for pair in curves for own in pair]):
        a, b = [own[label] for own, _ in curves], [own[label] for _, own in curves]
        found = compare_onsets(a, b, OnsetConfig(bootstrap=bootstrap))
        rows.append(
            {
                "label": label.removeprefix(READABLE),
                "seeds": found.num_seeds,
                "texts": found.num_texts,
                **_arm(first, a, found.a),
                **_arm(second, b, found.b),
                "ratio": found.ratio,
                "low": found.low,
                "high": found.high,
                "order": found.order,
            }
        )
    return rows


def _arm(arm: str, curves: Sequence[ReadingCurve], half: Any) -> dict[str, Any]:
    return {
        f"{arm} clear": [curve.clear_step for curve in curves],
        f"{arm} half": half.step,
        f"{arm} half_low": half.low,
        f"{arm} half_high": half.high,
        f"{arm} reason": half.reason,
    }


def _shared(found: Sequence[dict[str, ReadingCurve]]) -> list[str]:
    return [name for name in found[0] if all(name in own for own in found)] if found else []


def reading_curves(run: Run) -> dict[str, ReadingCurve]:
    """Measure -> the linear probe's readings over the training of a run's VAE.

    A label set is left out if it was undefined at some step, or measured on other texts there.

    Raises:
        InputError: the run's course is not probed yet.
    """
    import pandas as pd

    from analyses.paths.onset import ReadingCurve

    course = read_course(run)
    own = course[(course.stage == "vae") & course.measure.str.startswith(READABLE)]
    steps = sorted(int(step) for step in own.step.unique())
    if len(steps) < 2:
        return {}
    items = pd.concat(
        [
            pd.read_parquet(run.over_training_dir / f"vae-step-{step}.parquet").assign(step=step)
            for step in steps
        ]
    )
    curves = {}
    for measure, rows in own.groupby("measure", sort=False):
        rows = rows.set_index("step").loc[steps]
        hits, sizes = (
            items[items.result == measure].pivot(index="step", columns="text", values=column)
            for column in ("hits", "rows")
        )
        if rows.score.isna().any() or hits.isna().any(axis=None):
            continue
        bars = rows[["chance", "shuffled_high"]].to_numpy(np.float64)
        curves[str(measure)] = ReadingCurve(
            steps=np.array(steps),
            hits=hits.loc[steps].to_numpy(np.float64),
            rows=sizes.iloc[0].to_numpy(np.float64),
            low=rows.low.to_numpy(np.float64),
            bar=float(np.nanmax(bars)),
        )
    return curves
