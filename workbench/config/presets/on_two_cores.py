"""Studies for two CPU cores. Each docstring's first line says what it costs and reaches."""

from __future__ import annotations

import dataclasses
from typing import Any

from data.corpus_config import CorpusConfig
from models.configs.flow import FlowConfig, SamplerConfig, TextDiTConfig
from models.configs.language_model import CausalLMConfig
from models.configs.vae import TextVAEConfig
from models.generators.families import FAMILIES
from workbench.config.arms import standard_arms
from workbench.config.evaluation import EvaluationConfig
from workbench.config.run import RunConfig
from workbench.config.sampling import SamplingConfig
from workbench.config.study import StudyConfig
from workbench.config.training import TrainingConfig

OTHER_ALIGNMENTS = (
    "irepa",
    "repa-linear",
    "repa-conv",
    "repa-sequence",
    "gram",
    "gram-across",
    "deep",
    "masked",
    "predictive",
)
DEMO_WEIGHT = 3.0  # of the alignment, where a demonstration has minutes


def smoke() -> StudyConfig:
    """Both arms at toy size in seconds, for tests; the scores mean nothing."""
    base = RunConfig(
        corpus=CorpusConfig(num_documents=240, window=56, valid_fraction=0.1, test_fraction=0.2),
        vae=TextVAEConfig(width=32, encoder_layers=1, decoder_layers=1, heads=2, latent_width=8),
        vae_training=TrainingConfig(
            num_steps=8, batch_size=8, warmup_steps=2, log_every=2, checkpoint_every=4, milestones=2
        ),
        dit=TextDiTConfig(width=32, layers=1, heads=2),
        flow_training=TrainingConfig(
            num_steps=8,
            batch_size=8,
            warmup_steps=2,
            log_every=2,
            checkpoint_every=4,
            milestones=2,
            ema_decay=0.9,
            optimizer="muon",
        ),
        language_model=CausalLMConfig(width=32, layers=1, heads=2),
        language_model_training=TrainingConfig(num_steps=8, batch_size=8, warmup_steps=2),
        sampling=SamplingConfig(num_prompts=24, sampler=SamplerConfig(num_steps=4), num_traces=2),
        evaluation=EvaluationConfig(
            mauve_buckets=4,
            mauve_seeds=2,
            num_resamples=100,
            probe_texts=40,
            probe_tokens=250,
            tiny_flow_steps=8,
        ),
    )
    return StudyConfig(name="smoke", base=base, arms=standard_arms(("none", "repa")))


def demo() -> StudyConfig:
    """Both arms, one seed, short stories: within ten minutes on two CPU cores, everything.

    The aligned arm is aligned three times as strongly as TextLDM's; all else is shared. How each
    setting was chosen is in docs/LOG.md; token shift and internal guidance by the mean of both arms
    on validation prompts. TextLDM has neither; without them the mean is lower.
    """
    base = RunConfig(
        corpus=CorpusConfig(num_documents=8000, window=56),
        vae=TextVAEConfig(latent_width=32),
        vae_training=TrainingConfig(num_steps=400, batch_size=40, milestones=5),
        dit=TextDiTConfig(width=128, layers=4, heads=4, token_shift=True, internal_depth=0.5),
        flow=FlowConfig(latent_target="mean", internal_weight=0.5),
        flow_training=TrainingConfig(
            num_steps=3000,
            batch_size=32,
            optimizer="muon",
            learning_rate=8e-3,
            warmup_steps=200,
            ema_decay=0.999,
            log_every=20,
            checkpoint_every=750,
            milestones=4,
        ),
        language_model_training=TrainingConfig(num_steps=400, batch_size=64),
        sampling=SamplingConfig(
            num_prompts=400,
            sampler=SamplerConfig(num_steps=100, churn=2.0),
            guidance_scales=(1.0,),
            internal_scale=2.0,
        ),
    )
    return StudyConfig(name="demo", base=base, arms=standard_arms(("none", "repa"), DEMO_WEIGHT))


def families() -> StudyConfig:
    """The twins and five other generators: meant for under 40 minutes on two CPU cores.

    The demo with 1,200 flow steps. Every generator has the parameters of an arm (autoencoder and
    flow together, within a tenth), its training compute, counted as docs/GENERATORS.md says, and
    its flow's optimiser. Block diffusion reads every text twice, so it has half of the steps.
    """
    base = demo().base
    base = dataclasses.replace(
        base, flow_training=dataclasses.replace(base.flow_training, num_steps=1200)
    )
    shared = {
        "batch_size": 32,
        "optimizer": base.flow_training.optimizer,
        "learning_rate": base.flow_training.learning_rate,
        "ema_decay": base.flow_training.ema_decay,
        "checkpoint_every": 250,
    }
    network = {"width": 192, "layers": 5, "heads": 6}
    generators = {
        name: {
            "family": name,
            "network": network,
            "training": {
                "num_steps": 1000 // family.streams,
                "warmup_steps": 200 // family.streams,
                **shared,
            },
        }
        for name, family in FAMILIES.items()
    }
    return dataclasses.replace(demo(), name="families", base=base, generators=generators)


def laptop() -> StudyConfig:
    """Three arms, three seeds, short stories: about two hours on two CPU cores."""
    base = demo().base
    base = dataclasses.replace(
        base,
        corpus=CorpusConfig(num_documents=12_000, window=56),
        vae_training=dataclasses.replace(base.vae_training, num_steps=600),
        flow_training=dataclasses.replace(base.flow_training, num_steps=10_000),
        sampling=dataclasses.replace(base.sampling, guidance_scales=(1.0, 2.0)),
    )
    arms = standard_arms(("none", "repa", "permuted"), DEMO_WEIGHT)
    return StudyConfig(name="laptop", base=base, arms=arms, seeds=(0, 1, 2))


def alignments() -> StudyConfig:
    """Fourteen ways of aligning beside none, three seeds: over three hours on two quiet cores.

    The demo's recipe and length. Every arm but `none` is aligned with the same teacher, and departs
    from `repa` in one thing: projector (`repa-linear`, `repa-conv`, `deep`; `masked` and
    `predictive` also hide words from it), standardisation (`repa-sequence`; `irepa` has it and
    `repa-conv`'s projector), what is compared (`gram`, `gram-across`), when alignment ends
    (`early`, at half of the steps), that a block of the flow is aligned instead (`repa-dit`) or
    too (`repa-both`), or that the flow generates a vector of the teacher as well (`reg`). Sources
    are in docs/METHODS.md.
    """
    base = demo().base
    in_the_flow = ("repa-dit", "repa-both", "reg")
    arms = standard_arms(("none", "repa", *OTHER_ALIGNMENTS, *in_the_flow), DEMO_WEIGHT)
    early = {**arms["repa"], "vae_loss.repa_stop_step": base.vae_training.num_steps // 2}
    arms["early"] = early
    return StudyConfig(name="alignments", base=base, arms=arms, seeds=(0, 1, 2))


def scorecard() -> StudyConfig:
    """Twenty-nine VAEs under three seeds, short stories: hours, for `scorecard` afterwards.

    The demo's recipe with an eighth of its flow steps. Arms depart from `none` or `repa` in one
    setting: weight, teacher, layer, site, way and end of the alignment, latent width, KL weight,
    decoder noise. Every probe runs.
    """
    base = demo().base
    base = dataclasses.replace(
        base,
        vae_training=dataclasses.replace(base.vae_training, milestones=0),
        flow_training=dataclasses.replace(base.flow_training, num_steps=400, milestones=0),
        sampling=dataclasses.replace(
            base.sampling, sampler=SamplerConfig(num_steps=50, churn=2.0), num_traces=2
        ),
        evaluation=dataclasses.replace(base.evaluation, probes="all"),
    )
    named = standard_arms(("none", "repa", "permuted", "random", *OTHER_ALIGNMENTS), DEMO_WEIGHT)
    none, repa = named["none"], named["repa"]
    arms: dict[str, dict[str, Any]] = {
        **named,
        "own": {**repa, "teacher.name": "own"},
        "weak": {"vae_loss.repa_weight": 0.3},
        "paper": {"vae_loss.repa_weight": 1.0},  # as strong as TextLDM's
        "strong": {"vae_loss.repa_weight": 10.0},
        "early": {**repa, "vae_loss.repa_stop_step": base.vae_training.num_steps // 2},
        "layer-0": {**repa, "teacher.layer": 0},
        "layer-last": {**repa, "teacher.layer": -1},
        "trunk": {**repa, "vae.repa_site": "trunk"},
        "narrow": {**repa, "vae.latent_width": 16},
        "narrow-none": {**none, "vae.latent_width": 16},
        "wide": {**repa, "vae.latent_width": 64},
        "wide-none": {**none, "vae.latent_width": 64},
        "beta-low": {**none, "vae_loss.beta": 1e-5},
        "beta-high": {**none, "vae_loss.beta": 1e-2},
        "noise-none": {**none, "vae.decoder_noise": 0.5},
        "noise-repa": {**repa, "vae.decoder_noise": 0.5},
    }
    return StudyConfig(name="scorecard", base=base, arms=arms, seeds=(0, 1, 2))
