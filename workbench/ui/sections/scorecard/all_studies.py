"""The scorecard over like studies on disk, computed anew when one of them changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from workbench.study.conditions import writing_conditions
from workbench.ui.kit.scan import found_studies, stamp, study_of

if TYPE_CHECKING:
    import pandas as pd

    from analyses.scorecard.row import ScorecardRow
    from analyses.scorecard.run_table import RunTable
    from workbench.study.folders import Study

FILES = ("scorecard.parquet", "comparison.json")
Key = tuple[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class Card:
    """What the page shows.

    Attributes:
        table: the runs, their probes and scores.
        rows: every predictor against every score.
        runs: one row per run, every number.
        names: of the studies, below the runs directory.
    """

    table: RunTable
    rows: list[ScorecardRow]
    runs: pd.DataFrame
    names: list[str]


def finished_keys(study: Study) -> tuple[tuple[Key, ...], list[str]]:
    """Folder and file stamps of every finished study that ranks together with `study`.

    Beside them, the names of finished studies that do not.
    """
    keys: list[Key] = []
    others, conditions = [], writing_conditions(study)
    for found in found_studies():
        folder = found.directory
        if found.problem or not all((folder / name).is_file() for name in FILES):
            continue
        if writing_conditions(study_of(found)) == conditions:
            keys.append((str(folder), tuple(stamp(folder / name) for name in FILES)))
        else:
            others.append(found.name)
    return tuple(keys), others


@st.cache_resource(
    max_entries=4, show_spinner="Holding every probe against every score …", show_time=True
)
def scorecard_of(keys: tuple[Key, ...]) -> Card:
    """The scorecard of the studies in these folders.

    Raises:
        InputError: they cannot be laid under each other, and why.
    """
    import pandas as pd

    from analyses.scorecard.predictors import scorecard
    from workbench.report.scorecard import read_study_rows, run_table

    found = {str(f.directory): f for f in found_studies()}
    studies = [study_of(found[folder]) for folder, _ in keys]
    frames = [read_study_rows(study).frame.assign(study=study.directory.name) for study in studies]
    table, names = run_table(studies), sorted(found[folder].name for folder, _ in keys)
    return Card(table, scorecard(table), pd.concat(frames, ignore_index=True), names)
