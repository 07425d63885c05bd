"""Probe the course of a training: the same measures at every milestone, stored and cached.

A run's points are its untrained weights (rebuilt from the seed), the milestones that the training
kept, and the last checkpoint. Each point has `<stage>-step-<n>.json` and `.parquet` under
`over_training`. `table.parquet` has the numbers of all points, one row per measure and step.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.probes.run import PROBES_VERSION
from workbench.store.atomic import write_file
from workbench.store.json_files import read_json, write_json
from workbench.store.milestones import Milestone, list_milestones, load_milestone, weights_at
from workbench.train.flow import build_dit, flow_fingerprint
from workbench.train.latents import latents_fingerprint
from workbench.train.vae import untrained_vae, vae_fingerprint

if TYPE_CHECKING:
    import pandas as pd

    from analyses.result import Result
    from data.corpus_store import Corpus
    from workbench.config.training import TrainingConfig
    from workbench.study.folders import Run

VERSION = 1  # raise it when what is measured changes
PROBED_STAGES = ("vae", "flow")
TABLE = "table.parquet"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPoint:
    """Weights of one stage at one step; None stands for the untrained weights."""

    stage: str
    step: int
    weights: Milestone | None

    @property
    def name(self) -> str:
        """Stem of its file names."""
        return f"{self.stage}-step-{self.step}"


def probe_over_training(run: Run, context: StageContext) -> list[dict[str, Any]]:
    """Probe every point of a run's trainings that is not stored yet.

    Returns:
        The content of each point's file: `stage`, `step`, `fingerprint`, and `results` by name.

    Raises:
        InputError: the run is not trained yet, or kept no milestones.
        DamagedArtefactError: a milestone is damaged.
        StopRequested: stopped on request; finished points are kept.
    """
    corpus = run.study.corpus
    points = training_points(run)
    measure = _measures(run, context)
    documents = []
    for number, point in enumerate(points):
        context.stop.check("over training")
        context.reporter.update("over training", number, len(points), {"point": point.name})
        file = run.over_training_dir / f"{point.name}.json"
        print_ = _fingerprint(run, corpus, point)
        stored = read_json(file) if file.is_file() else {}
        if stored.get("fingerprint") != print_:
            results, items = measure[point.stage](point)
            _write_frame(file.with_suffix(".parquet"), items)
            stored = {
                "fingerprint": print_,
                "stage": point.stage,
                "step": point.step,
                "results": {result.name: result.to_json() for result in results},
            }
            write_json(file, stored)
        documents.append(stored)
    _forget_others(run.over_training_dir, {point.name for point in points})
    _write_frame(run.over_training_dir / TABLE, _table(documents))
    context.reporter.update("over training", len(points), len(points), {})
    return documents


def training_points(run: Run) -> list[TrainingPoint]:
    """The points of a run's trainings, by stage and step.

    Raises:
        InputError: the run is not trained yet, or kept no milestones.
    """
    prints: dict[str, Callable[[TrainingConfig], str]] = {
        "vae": lambda training: vae_fingerprint(run, training),
        "flow": lambda training: flow_fingerprint(run, training),
    }
    points = []
    for stage in PROBED_STAGES:
        directory: Path = getattr(run, f"{stage}_dir")
        training: TrainingConfig = getattr(run.config, f"{stage}_training")
        last = training.num_steps
        if not (directory / f"step-{last}").is_dir():
            raise InputError(f"{directory}: not trained yet; run `train-{stage}` first")
        kept = list_milestones(directory, *map(prints[stage], (training, *training.beginnings)))
        if kept:
            ends = weights_at(directory / f"step-{last}", last)
            points.append(TrainingPoint(stage=stage, step=0, weights=None))
            points += [TrainingPoint(stage=stage, step=m.step, weights=m) for m in [*kept, ends]]
    if not points:
        raise InputError(
            f"{run.directory}: its trainings kept no milestones, so only their ends can be "
            "probed; train a study with base.vae_training.milestones and "
            "base.flow_training.milestones above 0"
        )
    return points


def _fingerprint(run: Run, corpus: Corpus, point: TrainingPoint) -> str:
    """Fingerprint of the weights and everything else that the measures read."""
    from workbench.probes.course.measures import LOSS_DRAWS, NUM_PROMPTS
    from workbench.probes.inputs.teacher_inputs import teacher_fingerprint
    from workbench.train.language_model import language_model_fingerprint

    config = run.config
    reads: dict[str, Callable[[], list[Any]]] = {
        "vae": lambda: [teacher_fingerprint(run.study)],
        "flow": lambda: [
            latents_fingerprint(run),
            language_model_fingerprint(run.study),
            config.sampling,
            [LOSS_DRAWS, NUM_PROMPTS],
        ],
    }
    return stage_fingerprint(
        [VERSION, PROBES_VERSION],
        [point.stage, point.step, point.weights.content if point.weights else "untrained"],
        vae_fingerprint(run),
        config.flow,
        config.dit,
        replace(run.study.config.base.evaluation, probes="all"),
        *reads[point.stage](),
    )


Measured = tuple[list["Result"], "pd.DataFrame"]


def _measures(run: Run, context: StageContext) -> dict[str, Callable[[TrainingPoint], Measured]]:
    """Stage -> function from a point to its results and rows; shared inputs are loaded once."""
    from workbench.probes.course.measures import FlowProbe, probe_vae

    flow = FlowProbe(run, context)

    def vae_point(point: TrainingPoint) -> Measured:
        vae = untrained_vae(run, context.place)
        if point.weights is not None:
            vae.load_state_dict(load_milestone(point.weights))
        return probe_vae(run, vae.eval(), context)

    def flow_point(point: TrainingPoint) -> Measured:
        dit = build_dit(run, context.place)
        if point.weights is not None:
            dit.load_state_dict(load_milestone(point.weights))
        return flow.probe(dit.eval())

    return {"vae": vae_point, "flow": flow_point}


def _table(documents: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([row for document in documents for row in _rows(document)])


def _rows(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, result in document["results"].items():
        shuffled = result["detail"].get("shuffled") or {}
        yield {
            "stage": document["stage"],
            "step": document["step"],
            "measure": name,
            **{key: result[key] for key in ("score", "low", "high", "chance", "n", "reason")},
            "shuffled": shuffled.get("mean"),
            "shuffled_high": shuffled.get("high"),
        }


def _forget_others(directory: Path, names: set[str]) -> None:
    """Remove the files of points that no longer exist."""
    for file in directory.glob("*-step-*"):
        if file.stem not in names:
            file.unlink()


def _write_frame(path: Path, frame: pd.DataFrame) -> None:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    write_file(path, buffer.getvalue())


def is_probed(run: Run) -> bool:
    """Whether the table of the run's course is stored."""
    return (run.over_training_dir / TABLE).is_file()


def read_course(run: Run) -> pd.DataFrame:
    """All numbers of a run's course: one row per stage, step and measure.

    Raises:
        InputError: the course is not probed yet.
    """
    import pandas as pd

    file = run.over_training_dir / TABLE
    if not file.is_file():
        raise InputError(f"{file}: not found; run `probe --checkpoints` first")
    return pd.read_parquet(file)
