"""What a study will compute, and how long it takes where this machine has measured it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.study.time_estimate import reference_seconds
from workbench.ui.kit.exhibits import show_table

if TYPE_CHECKING:
    import pandas as pd

    from workbench.config.study import StudyConfig


MINUTES = "minutes, runs one by one"


def show_cost(config: StudyConfig) -> None:
    """The estimate as a table, and the whole study's time where the demo tells it."""
    show_table(
        cost_rows(config),
        "cost-estimate",
        caption="What will be computed. Minutes are measured where this machine has trained the "
        "same kind of model before, and left out where it has not. " + whole_sentence(config),
    )


def whole_sentence(config: StudyConfig) -> str:
    """The time of everything on two quiet cores; empty where no such study was timed."""
    seconds = reference_seconds(config)
    if seconds is None:
        return ""
    return (
        f"Everything, on two quiet CPU cores: about {math.ceil(seconds / 60)} minutes, and more "
        "with more texts, autoencoder steps or guidance scales than the demo has."
    )


def cost_rows(config: StudyConfig) -> pd.DataFrame:
    """Stages of a study with their steps and, where measured on this machine, their seconds."""
    import pandas as pd

    base, runs = config.base, len(config.arms) * len(config.seeds)
    stages = {
        "vae": (base.vae_training, base.vae.width),
        "flow": (base.flow_training, base.dit.width),
    }
    measured = _measured_speeds(config)
    rows = []
    for stage, (training, width) in stages.items():
        tokens = training.num_steps * training.batch_size * base.corpus.window
        speed = measured.get(stage)
        rows.append(
            {
                "stage": stage,
                "runs": runs,
                "steps a run": training.num_steps,
                "texts a step": training.batch_size,
                "width": width,
                "tokens in all": f"{tokens * runs:,}",
                MINUTES: f"{tokens * runs / speed / 60:.1f}" if speed else "",
            }
        )
    frame = pd.DataFrame(rows)
    return frame if frame[MINUTES].any() else frame.drop(columns=MINUTES)


def _measured_speeds(config: StudyConfig) -> dict[str, float]:
    """Stage -> tokens a second, from runs on this machine with the same model sizes."""
    from workbench.ui.kit.cached import metrics_of
    from workbench.ui.kit.scan import found_studies, study_of

    speeds: dict[str, float] = {}
    for found in found_studies():
        if found.problem or found.is_example:  # not trained on this machine
            continue
        study = study_of(found)
        same = {
            "vae": study.config.base.vae == config.base.vae,
            "flow": study.config.base.dit == config.base.dit
            and study.config.base.vae.latent_width == config.base.vae.latent_width,
        }
        for run in study.runs:
            for record in metrics_of(run)[-200:]:
                if same.get(record.get("stage", "")) and record.get("tokens_per_second"):
                    speeds[record["stage"]] = record["tokens_per_second"]
    return speeds
