"""Bring a study to its end in this process: no worker has to import torch anew."""

from __future__ import annotations

from unittest.mock import patch

from workbench.machine.context import StageContext
from workbench.pipeline.run_study import conclude, finish_run, prepare_study
from workbench.study.folders import Study


def finish_here(study: Study, context: StageContext) -> None:
    """What `run_study` does in worker processes, one run after another."""
    prepare_study(study, context)
    for run in study.runs:
        finish_run(study.directory, run.arm, run.seed, context)
    conclude(study, context)


def finish_with_two_probes(study: Study, context: StageContext) -> None:
    """The same without the costly probes, for tests of what is trained and scored."""

    def two(selection: str) -> list[str]:
        return ["reconstruction", "scale"]

    with (
        patch("workbench.pipeline.stages.probe_names", two),
        patch("workbench.probes.run.probe_names", two),
    ):
        finish_here(study, context)
