"""Everything that determines one run: its components' settings, what they need of each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from data.corpus_config import CorpusConfig
from models.configs.checks import BEFORE
from models.configs.flow import FlowConfig, TextDiTConfig
from models.configs.language_model import CausalLMConfig
from models.configs.teacher import LAYERS, UNTRAINED, TeacherConfig, check_space_layers
from models.configs.vae import TextVAEConfig, VAELossConfig
from workbench.config.arms import FROZEN
from workbench.config.evaluation import EvaluationConfig, OutsideConfig
from workbench.config.sampling import ContextConfig, SamplingConfig
from workbench.config.training import TrainingConfig


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
        _check_sentence_vector(self)


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


def _check_sentence_vector(config: RunConfig) -> None:
    """Refuse a sentence vector that nothing weighs, or that the latents hold already."""
    if config.dit.sentence_vector:
        raise ValueError("dit.sentence_vector is filled from flow.reg_weight; leave it out")
    if generates_vector(config) and in_teacher_space(config):
        raise ValueError(
            f"flow.reg_weight ({config.flow.reg_weight}) needs vae.space 'learned': the latents of "
            "'teacher' are the states that the sentence vector is a mean of"
        )


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


def generates_vector(config: RunConfig) -> bool:
    """Whether a run's flow generates a sentence vector of its teacher beside the latents."""
    return config.flow.reg_weight > 0


def needs_teacher(config: RunConfig) -> bool:
    """Whether a run depends on a teacher at all."""
    return reads_teacher(config) or aligns_flow(config) or generates_vector(config)
