"""How far apart two arms write at each milestone of their flows' training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from analyses.statistics.intervals import BootstrapConfig, paired_bootstrap
from workbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from workbench.study.folders import Run

FLOW_POINT = re.compile(r"flow-step-(\d+)\.parquet")


def gap_over_training(first: Run, second: Run, score: str) -> pd.DataFrame:
    """The difference second - first of one score at every step that both were probed at.

    Args:
        first: a run whose course is probed.
        second: one of the same study and seed, so that prompts pair.
        score: a column of the stored prompts: `valid_4gram`, `nats_per_token`, `fidelity`.

    Returns:
        Columns `step`, `first`, `second` (means over prompts), `difference`, `low`, `high` (95 %,
        paired over prompts) and `n`, by step; empty where nothing pairs.

    Raises:
        InputError: the two were probed on different prompts.
    """
    import pandas as pd

    config = BootstrapConfig(seed=first.study.config.base.evaluation.seed)
    rows = []
    own, others = flow_points(first), flow_points(second)
    for step in sorted(own.keys() & others.keys()):
        a, b = (pd.read_parquet(files[step]) for files in (own, others))
        if score not in a or score not in b:
            continue
        if a["index"].tolist() != b["index"].tolist():
            raise InputError(
                f"{own[step]} and {others[step]}: different prompts, so they do not pair; run "
                "`probe --checkpoints` for both again"
            )
        found = paired_bootstrap(b[score].to_numpy(float), a[score].to_numpy(float), config)
        rows.append(
            {
                "step": step,
                "first": a[score].mean(),
                "second": b[score].mean(),
                "difference": found.difference,
                "low": found.low,
                "high": found.high,
                "n": found.n,
            }
        )
    columns = ["step", "first", "second", "difference", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def flow_points(run: Run) -> dict[int, Path]:
    """Step -> the stored prompts of a milestone of the run's flow."""
    files = run.over_training_dir.glob("flow-step-*.parquet")
    found = {FLOW_POINT.fullmatch(file.name): file for file in files}
    return {int(match[1]): file for match, file in found.items() if match}
