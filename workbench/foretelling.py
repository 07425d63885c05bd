"""The app's scorecard over every compared study: its table of runs, directions and rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.scoring import HIGHER_IS_BETTER

if TYPE_CHECKING:
    import pandas as pd

    from analyses.scorecard_row import ScorecardRow

CONTROL = "reconstruction.token_accuracy"
IDENTITY = ["study", "arm", "seed"]
MIN_ARMS = 5  # with fewer, any order of arms is likely by chance


def metric_direction(name: str, known: Mapping[str, bool]) -> bool | None:
    """Whether more of a metric is better; None where neither end is."""
    if name.startswith("generation."):
        short = name.removeprefix("generation.")
        return True if short.startswith("mauve[") else HIGHER_IS_BETTER.get(short)
    return known.get(name)


def known_directions(comparison: Mapping[str, Any]) -> dict[str, bool]:
    """Metric -> whether higher is better, as a study's own comparison says."""
    return {
        name: bool(value["higher_is_better"])
        for own in comparison.get("arms", {}).values()
        for name, value in own.items()
        if value.get("higher_is_better") is not None
    }


def foretelling_rows(frame: pd.DataFrame, known: Mapping[str, bool]) -> list[ScorecardRow]:
    """Every probe with a better end against every score with one.

    An arm is an arm of one study: the same name in two studies means two settings.

    Args:
        frame: a row a run: study, arm, seed, and a column a metric.
        known: metric -> whether higher is better.
    """
    import pandas as pd

    from analyses.run_table import RunTable
    from analyses.scorecard import ScorecardConfig, scorecard

    better = {name: metric_direction(name, known) for name in frame.columns.drop(IDENTITY)}
    columns = {
        name: pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64)
        for name, direction in better.items()
        if direction is not None
    }
    table = RunTable(
        arms=(frame["study"] + "/" + frame["arm"]).tolist(),
        families=frame["study"].tolist(),
        probes={
            n: v for n, v in columns.items() if not n.startswith(("generation", "reconstruction"))
        },
        scores={n: v for n, v in columns.items() if n.startswith("generation.")},
        baselines={n: v for n, v in columns.items() if n.startswith("reconstruction")},
        higher_is_better={n: bool(better[n]) for n in columns},
    )
    return scorecard(table, ScorecardConfig(control=CONTROL, min_arms=MIN_ARMS))


def read_rows(studies: Mapping[str, Path]) -> list[ScorecardRow]:
    """The rows of some compared studies.

    Args:
        studies: name -> folder.
    """
    import pandas as pd

    from workbench.store.json_files import read_json

    frames, known = [], {}
    for name, folder in studies.items():
        frames.append(pd.read_parquet(folder / "scorecard.parquet").assign(study=name))
        known.update(known_directions(read_json(folder / "comparison.json")))
    return foretelling_rows(pd.concat(frames, ignore_index=True), known)
