"""How long a study with the demo's network takes on two quiet cores, from what the demo took."""

from __future__ import annotations

import math

from workbench.config.presets.on_two_cores import demo
from workbench.config.run import RunConfig
from workbench.config.study import StudyConfig

# Two quiet cores of the kind in docs/evidence/demo.md, one arm on each.
REFERENCE_CORES = 2
REFERENCE_STEP = 0.090  # seconds of one flow step
REFERENCE_SHARED = 75.0  # corpus, teacher, judge, baselines, comparison
REFERENCE_RUN = 130.0  # one arm without its flow: VAE, latents, samples, probes, scores


def reference_seconds(config: StudyConfig) -> float | None:
    """Seconds of the whole study there; None where its flow's steps are of another size.

    What is not the flow is taken as in the demo, so a study with more texts, autoencoder steps or
    guidance scales takes longer than this.
    """
    if _step_size(config.base) != _step_size(demo().base):
        return None
    rounds = math.ceil(len(config.arms) * len(config.seeds) / REFERENCE_CORES)
    steps = config.base.flow_training.num_steps
    return REFERENCE_SHARED + rounds * (REFERENCE_RUN + steps * REFERENCE_STEP)


def _step_size(base: RunConfig) -> tuple[object, ...]:
    """What a flow step's time depends on."""
    return base.dit, base.vae.latent_width, base.flow_training.batch_size, base.corpus.window
