"""The scorecard over studies: which probe, measured on the autoencoder, predicts generation?

Rows come from each study's `scorecard.parquet` (one row per arm and seed) and from the spaces that
were imported, directions from its `comparison.json`, sizes from the stored weights. A metric
without a good end counts as "more is better", so its verdict may be that it predicts the reverse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError
from workbench.probes.catalogue import probe_of
from workbench.report.number_text import MISSING
from workbench.score.directions import ACCURACY, direction
from workbench.store.json_files import read_json, write_json
from workbench.study.conditions import differing_conditions
from workbench.study.folders import Run, Study, open_study
from workbench.study.generators import GeneratorRun, generator_of
from workbench.study.pairing import NOT_PROVED

if TYPE_CHECKING:
    import pandas as pd

    from analyses.scorecard.complements import Complements
    from analyses.scorecard.predictors import ScorecardConfig
    from analyses.scorecard.row import ScorecardRow
    from analyses.scorecard.run_table import RunTable

PARAMETERS = "parameters.vae"
BASELINE = " (baseline)"  # after the name of a trivial predictor, in tables
MIDDLE = "middle"  # the space of a generator that `export` writes unless asked for another
# Every other score of a study is paired with one of these.
SCORES = (
    "grammar_sentences",
    "c2st[",
    "mauve[",
    "valid_4gram",
    "nats_per_token",
    "fidelity",
    "tense_agreement",
    "embedding_f1",
)


@dataclass(frozen=True)
class StudyRows:
    """A finished study: its scorecard rows and each metric's direction, None = no good end."""

    study: Study
    frame: pd.DataFrame
    directions: Mapping[str, bool | None]


def read_study_rows(study: Study) -> StudyRows:
    """Read what a finished study stored.

    Raises:
        InputError: the study is not finished.
    """
    import pandas as pd

    table = study.directory / "scorecard.parquet"
    comparison = study.directory / "comparison.json"
    if not table.is_file() or not comparison.is_file():
        raise InputError(f"{study.directory}: not finished yet; run `study` first")
    directions: dict[str, bool | None] = {}
    for metrics in read_json(comparison)["arms"].values():
        for name, value in metrics.items():
            known = direction(name.removeprefix("generation."))
            directions[name] = value.get("higher_is_better", known)
    frames = [
        pd.read_parquet(table),
        *(_adapted_row(run) for run in study.imported if _scored(run)),
        *_generator_rows(study),
    ]
    return StudyRows(study, pd.concat(frames, ignore_index=True), directions)


def _scored(run: Run) -> bool:
    return run.evaluation_file.is_file()


def _adapted_row(run: Run) -> pd.DataFrame:
    """The row of an arm that an adapter encoded and generated with."""
    from workbench.report.arm_metrics import adapted_metrics

    return _row(run, adapted_metrics(run))


def _generator_rows(study: Study) -> list[pd.DataFrame]:
    """A row of each scored generator, of the probed space of it that was imported.

    One row even if several spaces are there, since they share its scores: that of its middle.
    """
    from workbench.report.arm_metrics import space_metrics, stored_probes

    found: dict[str, tuple[Run, GeneratorRun]] = {}
    for run in study.imported:
        writer = generator_of(run)
        if writer is None or not writer.evaluation_file.is_file() or not stored_probes(run):
            continue
        if writer.name not in found or (run.imported or {})["provenance"]["space"] == MIDDLE:
            found[writer.name] = run, writer
    return [_row(run, space_metrics(run, writer)) for run, writer in found.values()]


def _row(run: Run, metrics: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    values = {name: (own["seeds"] or [None])[0] for name, own in metrics.items()}
    return pd.DataFrame(
        [{"study": run.study.config.name, "arm": run.arm, "seed": run.seed, **values}]
    )


def finished_studies(directory: Path) -> list[Study]:
    """Compared studies directly under a folder, sorted by name."""
    files = sorted(directory.glob("*/comparison.json"))
    return [open_study(file.parent) for file in files if (file.parent / "study.json").is_file()]


def run_table(studies: Sequence[Study]) -> RunTable:
    """One row per run over all the studies.

    A study is named by its folder, because a copy keeps the name in its settings. Scores are those
    at each study's first guidance scale. Maps are left out, and so are probes that need a trained
    flow, because they cannot predict it. Families are the settings in which an arm differs from its
    study's base.

    Raises:
        InputError: there is no study, one is not finished, two share a name, they share no
            generation score, or their scores have no common order (another corpus, judge, flow).
    """
    from analyses.scorecard.run_table import RunTable

    parts = [read_study_rows(study) for study in studies]
    if not parts:
        raise InputError("no finished study for a scorecard; run `study` first")
    names = [part.study.directory.name for part in parts]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"two studies are called {twice[0]!r}: give one folder another name")
    for part in parts[1:]:
        _refuse_other_conditions(parts[0].study, part.study)
    runs = [part.study.run(arm, int(seed)) for part in parts for arm, seed in _runs_of(part)]
    probes, scores = _predictors(parts), _scores(parts)
    if not scores:
        raise InputError("the studies share no generation score")
    directions = dict.fromkeys((*probes, ACCURACY, PARAMETERS), True)
    for part in parts:
        known = part.directions.items()
        directions |= {name: value for name, value in known if value is not None}
    return RunTable(
        arms=[f"{run.study.directory.name}/{run.arm}" for run in runs],
        families=[family_of(run) for run in runs],
        seeds=[run.seed for run in runs],
        probes={name: _column(parts, name) for name in probes},
        scores={name: _column(parts, name) for name in scores},
        baselines={
            ACCURACY: _column(parts, ACCURACY),
            PARAMETERS: np.array([_vae_parameters(run) for run in runs]),
        },
        higher_is_better=directions,
    )


def _refuse_other_conditions(study: Study, other: Study) -> None:
    keys = differing_conditions(study, other)
    if keys:
        names = [one.directory.name for one in (study, other)]
        raise InputError(
            f"the scores of {names[0]!r} and {names[1]!r} have no common order, for they differ in "
            f"{', '.join(keys[:4])}{' ...' if len(keys) > 4 else ''}; name studies that belong "
            "together"
        )


def family_of(run: Run) -> str:
    """The study, and the settings other than REPA's weight in which the arm differs.

    An arm from a bundle has none that are known; a generator's own space is of its own kind.
    """
    if generator_of(run) is not None:
        return f"{run.study.directory.name}: space of a generator"
    if run.imported is not None:
        return f"{run.study.directory.name}: from a bundle, {NOT_PROVED}"
    keys = sorted(set(run.study.config.arms[run.arm]) - {"vae_loss.repa_weight"})
    return f"{run.study.directory.name}: {', '.join(keys) or 'vae_loss.repa_weight'}"


def make_scorecard(
    table: RunTable, out: Path, config: ScorecardConfig | None = None
) -> tuple[list[ScorecardRow], list[Complements]]:
    """Compute the scorecard of runs and write it as JSON.

    Args:
        table: the runs, from `run_table` or `run_rows.read_runs`.
        out: the file.
        config: list length, resamples, permutations.

    Returns:
        Rows by score, and for each score what the strongest probes add to each other; `out` holds
        them together with the runs they are based on.
    """
    from dataclasses import asdict

    from analyses.result import json_safe
    from analyses.scorecard.complements import complements
    from analyses.scorecard.predictors import scorecard

    rows = scorecard(table, config)
    added = [complements(table, rows, score, config) for score in table.scores]
    document: dict[str, Any] = {
        "studies": list(dict.fromkeys(arm.split("/")[0] for arm in table.arms)),
        "runs": len(table.arms),
        "arms": sorted(set(table.arms)),
        "seeds": sorted(set(table.seeds)),
        "families": sorted(set(table.families)),
        "rows": [asdict(row) for row in rows],
        "complements": [asdict(one) for one in added],
    }
    write_json(out, json_safe(document, reasons={}))
    return rows, added


def table_rows(rows: Sequence[ScorecardRow], score: str = "") -> list[dict[str, str]]:
    """The rows of one score (the first by default) as text, the strongest first."""
    from analyses.scorecard.row import by_strength

    chosen = score or (rows[0].score if rows else "")
    if chosen not in {row.score for row in rows}:
        known = ", ".join(dict.fromkeys(row.score for row in rows))
        raise InputError(f"no score {chosen!r}; the scorecard has {known}")
    kept = [row for row in rows if row.score == chosen]
    return [_cells(row) for row in sorted(kept, key=by_strength)]


def _cells(row: ScorecardRow) -> dict[str, str]:
    def text(value: float | None) -> str:
        return MISSING if value is None else f"{value:.2f}"

    low, high = row.spearman.low, row.spearman.high
    interval = "" if low is None else f" [{text(low)}, {text(high)}]"
    return {
        "predictor": row.predictor + (BASELINE if row.is_baseline else ""),
        "Spearman": text(row.spearman.value) + interval,
        "Kendall": text(row.kendall.value),
        "partial": text(row.partial.value),
        "top-k": text(row.top_k_overlap.value),
        "regret": text(row.regret.value),
        "p (Holm)": text(row.adjusted_p),
        "arms": str(row.num_arms),
        "verdict": row.reason or row.verdict,
    }


def _runs_of(part: StudyRows) -> list[tuple[str, int]]:
    return list(zip(part.frame["arm"], part.frame["seed"], strict=True))


def _predictors(parts: Sequence[StudyRows]) -> list[str]:
    """Metrics of probes that could predict generation, in the studies' order."""
    metrics = dict.fromkeys(name for part in parts for name in part.directions)
    owners = {name: probe_of(name) for name in metrics if name != ACCURACY}
    return [name for name, probe in owners.items() if probe and probe.can_foretell]


def _scores(parts: Sequence[StudyRows]) -> list[str]:
    shared = set.intersection(*(set(part.directions) for part in parts))
    return [
        name
        for wanted in SCORES
        for name in parts[0].directions
        if name in shared and _is_score(name, wanted)
    ]


def _is_score(name: str, wanted: str) -> bool:
    metric = name.removeprefix("generation.")
    if metric == name:
        return False
    return metric.startswith(wanted) if wanted.endswith("[") else metric == wanted


def _column(parts: Sequence[StudyRows], name: str) -> np.ndarray:
    """The metric (R,) over all runs, NaN where a study or run lacks it."""
    columns = [
        part.frame[name].to_numpy(np.float64, na_value=np.nan)
        if name in part.frame
        else np.full(len(part.frame), np.nan)
        for part in parts
    ]
    return np.concatenate(columns)


def _vae_parameters(run: Run) -> float:
    """Number of weights in the stored VAE without its REPA projector; NaN if the file is gone."""
    from safetensors import safe_open

    files = sorted(run.vae_dir.glob("step-*/model.safetensors"))
    if not files:
        return float("nan")
    with safe_open(files[-1], framework="numpy") as file:
        shapes = [file.get_slice(k).get_shape() for k in file.keys() if "projector" not in k]  # noqa: SIM118
    return float(sum(np.prod(shape) for shape in shapes))
