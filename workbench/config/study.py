"""The whole configuration of a run and of a study, composed of one config per component."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data.corpus_config import CorpusConfig
from models.configs.checks import BEFORE, added
from models.configs.flow import (
    LARGEST_SCALE,
    FlowConfig,
    GuidanceConfig,
    SamplerConfig,
    TextDiTConfig,
)
from models.configs.language_model import CausalLMConfig
from models.configs.teacher import (
    HF_PREFIX,
    LAYERS,
    UNTRAINED,
    TeacherConfig,
    check_space_layers,
)
from models.configs.vae import TextVAEConfig, VAELossConfig
from workbench.config import settings
from workbench.config.adapters import AdapterConfig
from workbench.config.arms import FROZEN, REFERENCE, standard_arms
from workbench.config.generators import GeneratorConfig, generator_config
from workbench.config.training import TrainingConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextConfig:
    """Where a text is cut into context and target.

    Attributes:
        cut_low: smallest share of the tokens that become context.
        cut_high: largest share.
        split_prob: share of VAE batches whose halves are encoded separately, as for the flow.
        truncation_prob: probability that a VAE text is cut at a random length.
        cuts_per_text: different cuts of each text in the cached latents.
        joint: encode context and target together. This leaks the target into the context and
            changes every result; it exists to show that it does.
    """

    cut_low: float = 0.4
    cut_high: float = 0.6
    split_prob: float = 0.8
    truncation_prob: float = 0.0
    cuts_per_text: int = 2
    joint: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.cut_low <= self.cut_high <= 1:
            raise ValueError(
                f"0 <= cut_low <= cut_high <= 1 must hold, got {self.cut_low}, {self.cut_high}"
            )
        for name in ("split_prob", "truncation_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if self.cuts_per_text < 1:
            raise ValueError(f"cuts_per_text must be >= 1, got {self.cuts_per_text}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """How continuations are sampled.

    Attributes:
        num_prompts: held-out prompts; fewer if the corpus has fewer.
        sampler: solver, steps, grid, re-noising.
        guidance_scales: the first one is used for the headline scores; 1 is off.
        guidance_low: guidance acts on t in [guidance_low, guidance_high].
        guidance_high: see `guidance_low`.
        internal_scale: of internal guidance, in [0, 10000]; 1 is off, others need
            `dit.internal_depth`. It costs no evaluation.
        batch_size: prompts per batch; halved when memory runs out.
        nucleus: probability mass of the autoregressive baseline's sampling.
        num_traces: prompts whose whole trajectory is stored.
    """

    num_prompts: int = 300
    sampler: SamplerConfig = field(default_factory=lambda: SamplerConfig(churn=1.0))
    guidance_scales: tuple[float, ...] = (2.0,)
    guidance_low: float = 0.0
    guidance_high: float = 1.0
    batch_size: int = 64
    nucleus: float = 0.95
    num_traces: int = 8
    internal_scale: float = added(1.0, before=1.0)

    def __post_init__(self) -> None:
        for name in ("num_prompts", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not self.guidance_scales:
            raise ValueError("guidance_scales must name at least one scale")
        if not 0 < self.nucleus <= 1:
            raise ValueError(f"nucleus must lie in (0, 1], got {self.nucleus}")
        if self.num_traces < 0:
            raise ValueError(f"num_traces must be >= 0, got {self.num_traces}")
        if not 0 <= self.guidance_low <= self.guidance_high <= 1:
            raise ValueError(
                "guidance_low and guidance_high must satisfy 0 <= low <= high <= 1, "
                f"got {self.guidance_low} and {self.guidance_high}"
            )
        for scale in self.guidance_scales:
            self.guidance(scale)
        if not 0 <= self.internal_scale <= LARGEST_SCALE:
            raise ValueError(
                f"internal_scale must be in [0, {LARGEST_SCALE:.0f}], got {self.internal_scale}"
            )

    def guidance(self, scale: float) -> GuidanceConfig:
        """Guidance at one scale within the interval."""
        return GuidanceConfig(
            guidance_scale=scale, t_low=self.guidance_low, t_high=self.guidance_high
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """How generators and latent spaces are scored.

    Attributes:
        encoder: names the text embedder: `minilm` or `hf:<id or directory>`.
        mauve_buckets: clusters of MAUVE's quantisation, fixed, so that n does not matter.
        mauve_seeds: k-means seeds of MAUVE.
        bert_score: name of a model for the `bert-score` package, used instead of `encoder`.
        num_resamples: bootstrap resamples.
        probe_texts: held-out texts whose latents are probed.
        probe_tokens: tokens of these texts that token probes look at.
        neighbors: k of nearest-neighbour coherence.
        probes: which probes a study runs: `quick` or `all`.
        tiny_flow_steps: training steps of the tiny flow of probe `flow_excess`.
        seed: of resampling and subsampling.
    """

    encoder: str = "minilm"
    mauve_buckets: int = 25
    mauve_seeds: int = 5
    bert_score: str = ""
    num_resamples: int = 2000
    probe_texts: int = 600
    probe_tokens: int = 4000
    neighbors: int = 10
    probes: str = "quick"
    tiny_flow_steps: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        least_one = (
            "mauve_buckets",
            "mauve_seeds",
            "num_resamples",
            "neighbors",
            "tiny_flow_steps",
        )
        for name in least_one:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("probe_texts", "probe_tokens"):
            if getattr(self, name) < 3:
                raise ValueError(f"{name} must be >= 3, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        if self.probes not in ("quick", "all"):
            raise ValueError(f"probes must be quick or all, got {self.probes!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OutsideConfig:
    """A language model that never saw the corpus and judges what is written; off by default.

    Attributes:
        model: `smollm2` (`make smollm2`) or `hf:<id or directory>` of a causal model; empty is off.
        prompts: how many of the prompts it reads, the first ones; it is by far the slowest judge.
    """

    model: str = ""
    prompts: int = 100

    def __post_init__(self) -> None:
        if self.model not in ("", "smollm2") and not self.model.startswith(HF_PREFIX):
            raise ValueError(
                f"model must be smollm2, hf:<id or directory>, or empty, got {self.model!r}"
            )
        if self.prompts < 2:
            raise ValueError(f"prompts must be >= 2, got {self.prompts}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Everything that determines one run: an arm of a study under one seed.

    The defaults are what worked best at small scale (docs/LOG.md): the flow learns posterior means,
    the sampler renews noise at every step, guidance 2.
    """

    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    context: ContextConfig = field(default_factory=ContextConfig)
    vae: TextVAEConfig = field(default_factory=TextVAEConfig)
    vae_loss: VAELossConfig = field(default_factory=VAELossConfig)
    vae_training: TrainingConfig = field(default_factory=TrainingConfig)
    dit: TextDiTConfig = field(default_factory=TextDiTConfig)
    flow: FlowConfig = field(default_factory=lambda: FlowConfig(latent_target="mean"))
    flow_training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            num_steps=2800,
            batch_size=32,
            learning_rate=3e-3,
            warmup_steps=200,
            ema_decay=0.999,
        )
    )
    language_model: CausalLMConfig = field(default_factory=CausalLMConfig)
    language_model_training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(num_steps=400)
    )
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    outside: OutsideConfig = field(
        default_factory=OutsideConfig, metadata={BEFORE: OutsideConfig()}
    )
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        if self.flow_training.bucket_multiple:
            raise ValueError(
                "flow_training.bucket_multiple must be 0: latents are stored for whole windows, "
                f"got {self.flow_training.bucket_multiple}"
            )
        if aligns_flow(self) and self.dit.repa_depth is None:
            raise ValueError("flow.repa_weight > 0 needs dit.repa_depth: which block is aligned")
        if self.dit.repa_depth is not None and not aligns_flow(self):
            raise ValueError(f"dit.repa_depth ({self.dit.repa_depth}) needs flow.repa_weight > 0")
        if (self.flow.internal_weight > 0) != (self.dit.internal_depth is not None):
            raise ValueError(
                "flow.internal_weight > 0 and dit.internal_depth need each other, got "
                f"{self.flow.internal_weight} and {self.dit.internal_depth}"
            )
        if self.sampling.internal_scale != 1 and self.dit.internal_depth is None:
            raise ValueError(
                f"sampling.internal_scale ({self.sampling.internal_scale}) needs dit.internal_depth"
            )
        _check_hidden_words(self)
        _check_teacher_space(self)


TAKEN = ("human", "autoregressive", "prompt")  # columns beside the arms in tables


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyConfig:
    """Twins: one base configuration, arms that override it, and seeds.

    Attributes:
        name: folder under the runs directory.
        base: what all arms share.
        arms: arm name -> dotted overrides of `base`.
        generators: name -> settings of a generator of another family, trained on the same tokens:
            `family`, and what departs from its `network`, `training` and `sampling`.
        adapters: name -> an adapter of a model from outside, for `encode STUDY --adapter NAME`.
        seeds: every arm is trained under each.
        workers: parallel runs, each in its own process; 0 means one per core on CPUs, one on a GPU.
        threads: threads per worker; 0 divides the cores evenly.
        loggers: extra loggers by name: `tensorboard`, `wandb`, `trackio`.
    """

    name: str = "study"
    base: RunConfig = field(default_factory=RunConfig)
    arms: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: standard_arms(("none", "repa"))
    )
    generators: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, metadata={BEFORE: {}})
    adapters: Mapping[str, AdapterConfig] = field(default_factory=dict, metadata={BEFORE: {}})
    seeds: tuple[int, ...] = (0,)
    workers: int = 0
    threads: int = 0
    loggers: tuple[str, ...] = ("tensorboard",)

    def __post_init__(self) -> None:
        if not self.arms:
            raise ValueError("arms must name at least one arm")
        if not self.seeds:
            raise ValueError("seeds must name at least one seed")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds must differ, got {list(self.seeds)}")
        for name in ("workers", "threads"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        for arm in self.arms:
            _check_name("arm", arm)
            _check_reference(arm, self.run(arm, self.seeds[0]), self)
        for name in self.generators:
            _check_name("generator", name)
            if name in self.arms or name in TAKEN:
                raise ValueError(f"generator {name!r}: that name is taken; choose another")
            self.generator(name)

    def generator(self, name: str) -> GeneratorConfig:
        """The settings of one generator.

        Raises:
            InputError: one of them is wrong.
        """
        return generator_config(name, self.generators[name])

    def run(self, arm: str, seed: int) -> RunConfig:
        """The configuration of one arm under one seed.

        Raises:
            ValueError: there is no such arm, or an override names no setting.
        """
        if arm not in self.arms:
            raise ValueError(f"no arm {arm!r}; the study has {', '.join(self.arms)}")
        mapping = settings.to_dict(self.base)
        for key, value in self.arms[arm].items():
            *parents, last = key.split(".")
            target = mapping
            for parent in parents:
                target = target.setdefault(parent, {})
            target[last] = value
        try:
            config = settings.build(RunConfig, mapping)
        except ValueError as error:
            raise ValueError(f"arm {arm!r}: {error}") from error
        return dataclasses.replace(config, seed=seed)


def _check_name(kind: str, name: str) -> None:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"{kind} {name!r}: use letters, digits, - and _ only")


def _check_hidden_words(config: RunConfig) -> None:
    """Refuse words hidden from the projector where there is no target, or no projector."""
    if config.vae.mask_target and not config.context.split_prob:
        raise ValueError("vae.mask_target needs context.split_prob > 0: a target to hide")
    hides = config.vae.mask_target or config.vae.mask_share > 0
    if hides and config.vae_loss.alignment == "gram":
        raise ValueError(
            "vae.mask_share and vae.mask_target hide words from the projector, and "
            "vae_loss.alignment 'gram' has none"
        )
    if hides and not aligns_latents(config):
        raise ValueError(
            "vae.mask_share and vae.mask_target hide words from the projector, which learns "
            "nothing with vae_loss.repa_weight=0; set a weight, or leave them out"
        )


def _check_teacher_space(config: RunConfig) -> None:
    """Refuse what a space that is not learnt leaves without effect, or cannot be read for."""
    needs = {**FROZEN, **({} if config.teacher.name == "own" else {"corpus.vocabulary": "teacher"})}
    for key, wanted in needs.items() if in_teacher_space(config) else ():
        component, name = key.split(".")
        found = getattr(getattr(config, component), name)
        if found != wanted:
            raise ValueError(f"vae.space 'teacher' needs {key}={wanted}, got {found!r}")
    name = config.teacher.name
    layers = (
        config.language_model.layers if name == "own" else LAYERS.get(UNTRAINED.get(name, name))
    )
    if in_teacher_space(config) and layers is not None:
        check_space_layers(config.vae.space_layers, layers)


def _check_reference(arm: str, config: RunConfig, study: StudyConfig) -> None:
    """Refuse an arm in the teacher's space that passes for a twin, or cannot be read."""
    if not in_teacher_space(config):
        return
    if not arm.endswith(REFERENCE) or arm == next(iter(study.arms)):
        raise ValueError(
            f"arm {arm!r} learns no space and is no twin: its name must end in {REFERENCE}, and "
            "it cannot be the first arm, which others are held against"
        )
    pieces, own = study.base.teacher.name, config.teacher.name
    if own != "own" and UNTRAINED.get(own, own) != UNTRAINED.get(pieces, pieces):
        raise ValueError(f"arm {arm!r}: teacher {own!r} does not read the pieces of {pieces!r}")


def in_teacher_space(config: RunConfig) -> bool:
    """Whether a run's latents are a frozen teacher's own, so that it is a reference, no twin."""
    return config.vae.space == "teacher"


def reads_teacher(config: RunConfig) -> bool:
    """Whether a run's autoencoder depends on a teacher."""
    return aligns_latents(config) or in_teacher_space(config)


def aligns_latents(config: RunConfig) -> bool:
    """Whether a run's autoencoder is aligned with a teacher."""
    return config.vae_loss.repa_weight > 0


def aligns_flow(config: RunConfig) -> bool:
    """Whether a block of a run's flow is."""
    return config.flow.repa_weight > 0


def needs_teacher(config: RunConfig) -> bool:
    """Whether a run depends on a teacher at all."""
    return reads_teacher(config) or aligns_flow(config)
