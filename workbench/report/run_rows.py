"""The runs behind a scorecard as one Parquet file, for those who lack the runs themselves.

One row per run and metric: `arm`, `family`, `seed`, `kind` (`probe`, `score` or `baseline`),
`metric`, `higher_is_better`, `value` (null where the run has none).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import InputError
from workbench.store.atomic import write_file

if TYPE_CHECKING:
    import pandas as pd

    from analyses.scorecard.run_table import RunTable

SUFFIX = ".parquet"
KINDS = {"probe": "probes", "score": "scores", "baseline": "baselines"}
COLUMNS = ("arm", "family", "seed", "kind", "metric", "higher_is_better", "value")


def write_runs(table: RunTable, file: Path) -> None:
    """Write every number of the table."""
    import pandas as pd

    runs = {"arm": table.arms, "family": table.families, "seed": table.seeds}
    parts = [
        pd.DataFrame(
            {
                **runs,
                "kind": kind,
                "metric": name,
                "higher_is_better": table.higher_is_better[name],
                "value": column,
            }
        )
        for kind, attribute in KINDS.items()
        for name, column in getattr(table, attribute).items()
    ]
    buffer = io.BytesIO()
    pd.concat(parts, ignore_index=True).to_parquet(buffer, index=False)
    write_file(file, buffer.getvalue())


def read_runs(file: Path) -> RunTable:
    """The table that `write_runs` wrote.

    Raises:
        InputError: it is missing, no Parquet file, or not such a table.
    """
    import pandas as pd

    if not file.is_file():
        raise InputError(f"{file}: there is no such file")
    try:
        frame = pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: no Parquet file that can be read: {error}") from error
    lacking = [name for name in COLUMNS if name not in frame]
    if lacking or not len(frame):
        what = f"has no column {lacking[0]!r}" if lacking else "is empty"
        raise InputError(f"{file}: {what}; write it with `scorecard STUDY --runs FILE`")
    try:
        return _table(frame)
    except (TypeError, ValueError) as error:
        raise InputError(f"{file}: not a table of runs: {error}") from error


def _table(frame: pd.DataFrame) -> RunTable:
    from analyses.scorecard.run_table import RunTable

    unknown = sorted(set(frame["kind"]) - set(KINDS))
    if unknown:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {unknown[0]!r}")
    keys = ["arm", "family", "seed"]
    runs = frame[keys].drop_duplicates().set_index(keys).index
    columns: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in KINDS}
    directions: dict[str, bool] = {}
    for (kind, name), rows in frame.groupby(["kind", "metric"], sort=False):
        values = rows.set_index(keys)["value"]
        if values.index.has_duplicates:
            raise ValueError(f"{name!r} stands twice for one run")
        columns[str(kind)][str(name)] = values.reindex(runs).to_numpy(np.float64, na_value=np.nan)
        directions[str(name)] = bool(rows["higher_is_better"].iloc[0])
    arms, families, seeds = (list(runs.get_level_values(key)) for key in keys)
    return RunTable(
        arms=arms,
        families=families,
        seeds=[int(seed) for seed in seeds],
        **{KINDS[kind]: found for kind, found in columns.items()},
        higher_is_better=directions,
    )


def joined(tables: Sequence[RunTable]) -> RunTable:
    """All runs of several tables: every probe of any, the scores that all share.

    Raises:
        InputError: they share no score, a run stands in two of them, or they disagree on which
            end of a metric is the better one.
    """
    from analyses.scorecard.run_table import RunTable

    shared = set.intersection(*(set(table.scores) for table in tables))
    if not shared:
        raise InputError("the tables of runs share no generation score")
    directions: dict[str, bool] = {}
    for table in tables:
        for name, end in table.higher_is_better.items():
            if directions.setdefault(name, end) != end:
                raise InputError(f"{name}: the tables of runs disagree on which end is the better")
    try:
        return RunTable(
            arms=[arm for table in tables for arm in table.arms],
            families=[family for table in tables for family in table.families],
            seeds=[seed for table in tables for seed in table.seeds],
            probes=_columns(tables, "probes"),
            scores={
                name: column
                for name, column in _columns(tables, "scores").items()
                if name in shared
            },
            baselines=_columns(tables, "baselines"),
            higher_is_better=directions,
        )
    except ValueError as error:
        raise InputError(f"tables of runs that do not fit together: {error}") from error


def _columns(tables: Sequence[RunTable], kind: str) -> dict[str, np.ndarray]:
    def of(table: RunTable, name: str) -> np.ndarray:
        known: Mapping[str, np.ndarray] = getattr(table, kind)
        return known.get(name, np.full(len(table.arms), np.nan))

    names = dict.fromkeys(name for table in tables for name in getattr(table, kind))
    return {name: np.concatenate([of(table, name) for table in tables]) for name in names}
