"""What foretells generation: directions of metrics, and the scorecard read anew from studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.score_directions import HIGHER_IS_BETTER

if TYPE_CHECKING:
    from analyses.scorecard_row import ScorecardRow

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


def read_rows(folders: Sequence[Path]) -> list[ScorecardRow]:
    """The scorecard of the studies in these folders."""
    from analyses.scorecard import scorecard
    from workbench.runs import open_study
    from workbench.scorecard import run_table

    return scorecard(run_table([open_study(folder) for folder in folders]))
