"""Studies for GPUs: one, and the paper's sizes. First lines say what each costs and reaches."""

from __future__ import annotations

import dataclasses

from data.corpus_config import CorpusConfig
from models.configs.flow import FlowConfig, SamplerConfig, TextDiTConfig, TimeSamplerConfig
from models.configs.language_model import CausalLMConfig
from models.configs.teacher import TeacherConfig
from models.configs.vae import TextVAEConfig, VAELossConfig
from workbench.config.arms import standard_arms
from workbench.config.evaluation import EvaluationConfig
from workbench.config.run import RunConfig
from workbench.config.sampling import ContextConfig, SamplingConfig
from workbench.config.study import StudyConfig
from workbench.config.training import TrainingConfig


def gpu() -> StudyConfig:
    """Three arms on one GPU, docstrings of installed packages: meant for under 20 minutes."""
    base = RunConfig(
        corpus=CorpusConfig(name="docs", window=128, vocabulary_size=8192),
        vae=TextVAEConfig(width=384, encoder_layers=4, decoder_layers=4, heads=6, latent_width=32),
        vae_training=TrainingConfig(
            num_steps=4000, batch_size=128, learning_rate=6e-4, warmup_steps=400, compile=True
        ),
        dit=TextDiTConfig(width=512, layers=8, heads=8),
        flow=FlowConfig(time=TimeSamplerConfig(loc=1.35)),
        flow_training=TrainingConfig(
            num_steps=12_000,
            batch_size=128,
            learning_rate=4e-4,
            warmup_steps=1000,
            ema_decay=0.9995,
            checkpoint_every=2000,
            compile=True,
        ),
        language_model=CausalLMConfig(width=384, layers=6, heads=6),
        language_model_training=TrainingConfig(num_steps=4000, batch_size=128, warmup_steps=400),
        sampling=SamplingConfig(num_prompts=1000, batch_size=256, guidance_scales=(1.0, 2.5)),
        evaluation=EvaluationConfig(mauve_buckets=50),
    )
    return StudyConfig(name="gpu", base=base, arms=standard_arms(("none", "repa", "permuted")))


def _textldm(name: str, width: int, layers: int, heads: int, mlp_ratio: float) -> StudyConfig:
    """TextLDM (arXiv 2605.07748), with conservative choices where the paper is not specific.

    Chosen here: depth and feed-forward width (three shapes that have the
    paper's numbers of parameters), warm-up, normalisation per channel, EMA 0.9999, end-of-text
    padding; the velocity is predicted from posterior samples, t is given to the network, no
    self-conditioning, plain Euler steps.
    """
    training = TrainingConfig(
        num_steps=200_000,
        batch_size=256,
        learning_rate=1e-4,
        warmup_steps=2000,
        final_lr_fraction=1.0,
        checkpoint_every=5000,
        keep_checkpoints=2,
        log_every=100,
        compile=True,
        ema_decay=0.9999,
        shard="fsdp",
    )
    base = RunConfig(
        corpus=CorpusConfig(
            name="hf",
            hf_name="Skylion007/openwebtext",
            window=512,
            vocabulary_size=32_768,
            valid_fraction=0.001,
            test_fraction=0.001,
        ),
        teacher=TeacherConfig(name="hf:Qwen/Qwen3-1.7B-Base"),
        context=ContextConfig(truncation_prob=0.1),
        vae=TextVAEConfig(
            width=768,
            encoder_layers=6,
            decoder_layers=6,
            heads=12,
            latent_width=64,
            mu_norm="none",
            projector="linear",
        ),
        vae_loss=VAELossConfig(beta=1e-3),
        vae_training=dataclasses.replace(training, ema_decay=0.0, shard="none"),
        dit=TextDiTConfig(
            width=width,
            layers=layers,
            heads=heads,
            mlp_ratio=mlp_ratio,
            self_conditioning=False,
            drop_mode="zeros",
        ),
        flow=FlowConfig(
            prediction="v",
            time=TimeSamplerConfig(loc=0.0, scale=1.5),
            self_conditioning_prob=0.0,
        ),
        flow_training=training,
        language_model=CausalLMConfig(width=768, layers=12, heads=12),
        language_model_training=dataclasses.replace(training, ema_decay=0.0, shard="none"),
        sampling=SamplingConfig(
            num_prompts=1000, sampler=SamplerConfig(churn=0.0), guidance_scales=(7.0, 1.0)
        ),
        evaluation=EvaluationConfig(mauve_buckets=100),
    )
    return StudyConfig(name=name, base=base, arms=standard_arms(("none", "repa")))


def textldm_114m() -> StudyConfig:
    """The paper's small size, a DiT of 114 M parameters; several GPUs for days."""
    return _textldm("textldm-114m", width=768, layers=12, heads=12, mlp_ratio=3.0)


def textldm_328m() -> StudyConfig:
    """The paper's middle size, a DiT of 328 M parameters; several GPUs for days."""
    return _textldm("textldm-328m", width=896, layers=24, heads=14, mlp_ratio=3.5)


def textldm_768m() -> StudyConfig:
    """The paper's large size, a DiT of 768 M parameters; several GPUs for a week or more."""
    return _textldm("textldm-768m", width=1088, layers=36, heads=17, mlp_ratio=4.0)
