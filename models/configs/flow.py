"""Settings of the diffusion transformer, its flow, its times, and of sampling from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from models.configs.checks import added, check_choice, check_heads
from models.samplers import SAMPLERS

Backbone = Literal["dit", "mmdit"]
DropMode = Literal["mask", "zeros"]
Prediction = Literal["z", "v"]
LatentTarget = Literal["sample", "mean"]
TimeDistribution = Literal["logit_normal", "uniform", "mode"]
GridName = Literal["quantile", "uniform"]
TIME_DEFAULTS = {"logit_normal": (1.0, 1.2), "uniform": (0.0, 1.0), "mode": (0.0, 1.29)}
# Beyond 2 / (pi - 2) the mode map folds over; at -1 its slope at the ends reaches 0.
MODE_SCALES = (-1.0, 2.0 / (math.pi - 2.0))
LARGEST_SCALE = 1e4


@dataclass(frozen=True, kw_only=True, slots=True)
class TextDiTConfig:
    """Sizes and conditioning of a TextDiT.

    Attributes:
        latent_width: channels D of a latent; None until the VAE is known.
        window: most positions; None until the corpus is known.
        width: Transformer width, a multiple of 2 * heads.
        layers: blocks.
        heads: attention heads.
        mlp_ratio: feed-forward width / width.
        time_conditioning: give t to the network; else a learned constant stands in for it.
        self_conditioning: the input has a second half for an earlier estimate of z.
        drop_mode: a dropped context is masked out of attention ("mask") or replaced by zeros that
            are still attended to ("zeros", the paper's way).
        token_shift: attention reads a quarter of its channels from the position before and a
            quarter from the one after.
        repa_depth: share of the blocks, in (0, 1], after which a projector reads the states for
            `FlowConfig.repa_weight`; None builds none.
        internal_depth: share of the blocks, in (0, 1), after which a second final layer predicts,
            for `FlowConfig.internal_weight`; None builds none.
        teacher_width: width of the teacher's states; None until the teacher is known.
        backbone: one set of weights for all positions ("dit"), or one for the prompt and one for
            the latents, with joint attention ("mmdit").
        sentence_vector: states have one more row, which has no place in the text; filled from
            `FlowConfig.reg_weight`.
    """

    latent_width: int | None = None
    window: int | None = None
    width: int = 192
    layers: int = 4
    heads: int = 6
    mlp_ratio: float = 4.0
    time_conditioning: bool = True
    self_conditioning: bool = True
    drop_mode: DropMode = "mask"
    token_shift: bool = added(False, before=False)
    repa_depth: float | None = added(None, before=None)
    internal_depth: float | None = added(None, before=None)
    teacher_width: int | None = added(None, before=None)
    backbone: Backbone = added("dit", before="dit")  # noqa: RUF009
    sentence_vector: bool = added(False, before=False)

    def __post_init__(self) -> None:
        for name in ("latent_width", "window", "teacher_width"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        if self.layers < 1:
            raise ValueError(f"layers must be >= 1, got {self.layers}")
        check_heads(self.width, self.heads, self.mlp_ratio)
        check_choice("drop_mode", self.drop_mode, DropMode)
        check_choice("backbone", self.backbone, Backbone)
        if self.repa_depth is not None and not 0 < self.repa_depth <= 1:
            raise ValueError(f"repa_depth must lie in (0, 1], got {self.repa_depth}")
        if self.internal_depth is not None:
            if not 0 < self.internal_depth < 1:
                raise ValueError(f"internal_depth must lie in (0, 1), got {self.internal_depth}")
            if math.ceil(self.internal_depth * self.layers) == self.layers:
                raise ValueError(
                    f"internal_depth must leave a block above it, got {self.internal_depth} "
                    f"with layers {self.layers}"
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSamplerConfig:
    """A distribution of t.

    Attributes:
        name: the distribution, see `models.time_samplers`.
        loc: logit-normal location towards noise; None is 1. Others have none.
        scale: logit-normal std, None is 1.2; or mode scale in [-1, 1.75], None is 1.29.
        shift: > 0, 1 is none.
    """

    name: TimeDistribution = "logit_normal"
    loc: float | None = None
    scale: float | None = None
    shift: float = 1.0

    def __post_init__(self) -> None:
        check_choice("name", self.name, TimeDistribution)
        if self.loc is not None and self.name != "logit_normal":
            raise ValueError(f"loc belongs to logit_normal, leave it out with {self.name}")
        if self.scale is not None and self.name == "uniform":
            raise ValueError("scale does not apply to uniform, leave it out")
        loc, scale = self.resolved()
        if not math.isfinite(loc):
            raise ValueError(f"loc must be finite, got {loc}")
        if self.name == "logit_normal" and not 0 < scale < math.inf:
            raise ValueError(f"scale must be > 0 and finite for logit_normal, got {scale}")
        if self.name == "mode" and not MODE_SCALES[0] <= scale <= MODE_SCALES[1]:
            raise ValueError(f"scale must be in [-1, 1.75] for mode, got {scale}")
        if not 0 < self.shift < math.inf:
            raise ValueError(f"shift must be > 0 and finite, got {self.shift}")

    def resolved(self) -> tuple[float, float]:
        """Return `loc` and `scale` with the defaults of the distribution filled in."""
        loc, scale = TIME_DEFAULTS[self.name]
        return (
            loc if self.loc is None else self.loc,
            scale if self.scale is None else self.scale,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowConfig:
    """What the flow predicts and how it is trained.

    Attributes:
        prediction: the network returns the clean latent ("z") or the velocity ("v").
        time: distribution of t.
        self_conditioning_prob: share of batches in which a first pass without gradient hands its
            estimate of z to the second, in [0, 1].
        cond_drop_prob: share of texts that lose their context, in [0, 1].
        latent_target: the flow learns posterior samples or posterior means.
        t_clamp: least 1 - t that a predicted z is divided by in the loss, in (0, 1].
        repa_weight: weight, >= 0, of the alignment of a block's states with the teacher's at
            target positions (REPA); needs `TextDiTConfig.repa_depth`.
        internal_weight: weight, >= 0, of the loss of the prediction in the middle of a network with
            `TextDiTConfig.internal_depth`.
        reg_weight: weight, >= 0, of the loss of a sentence vector of the teacher that is generated
            beside the latents (REG); 0 generates none.
    """

    prediction: Prediction = "z"
    time: TimeSamplerConfig = field(default_factory=TimeSamplerConfig)
    self_conditioning_prob: float = 0.5
    cond_drop_prob: float = 0.1
    latent_target: LatentTarget = "sample"
    t_clamp: float = 0.05
    repa_weight: float = added(0.0, before=0.0)
    internal_weight: float = added(0.0, before=0.0)
    reg_weight: float = added(0.0, before=0.0)

    def __post_init__(self) -> None:
        check_choice("prediction", self.prediction, Prediction)
        check_choice("latent_target", self.latent_target, LatentTarget)
        for name in ("self_conditioning_prob", "cond_drop_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if not 0 < self.t_clamp <= 1:
            raise ValueError(f"t_clamp must be in (0, 1], got {self.t_clamp}")
        for name in ("repa_weight", "internal_weight", "reg_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be >= 0 and finite, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplerConfig:
    """How to integrate.

    Attributes:
        name: one of `models.samplers.SAMPLERS`.
        num_steps: intervals, >= 1.
        grid: "quantile" of the training times, or "uniform".
        churn: stochastic re-noising, >= 0: each step first goes back by this multiple of its own
            length, with fresh noise. 0 is deterministic; above 1 errors of earlier steps are undone
            at the price of more steps.
        restarts: times that the end is noised again back to `restart_t`, with fresh noise, and the
            grid's points beyond it are gone through once more, >= 0.
        restart_t: in (0, 1). The second time, the network sees a whole
            text when it makes choices that belong together.
    """

    name: str = "euler"
    num_steps: int = 50
    grid: GridName = "quantile"
    churn: float = 0.0
    restarts: int = added(0, before=0)
    restart_t: float = added(0.3, before=0.3)

    def __post_init__(self) -> None:
        check_choice("name", self.name, SAMPLERS)
        check_choice("grid", self.grid, GridName)
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be >= 1, got {self.num_steps}")
        if not 0 <= self.churn < math.inf:
            raise ValueError(f"churn must be >= 0 and finite, got {self.churn}")
        if self.restarts < 0:
            raise ValueError(f"restarts must be >= 0, got {self.restarts}")
        if not 0 < self.restart_t < 1:
            raise ValueError(f"restart_t must lie between 0 and 1, got {self.restart_t}")


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidanceConfig:
    """Strength of the context.

    Attributes:
        guidance_scale: in [0, 10000]; 1 is off and costs one forward, 0 ignores the context.
        t_low: guidance acts for t in [t_low, t_high]; outside the scale is 1.
        t_high: see `t_low`.
    """

    guidance_scale: float = 1.0
    t_low: float = 0.0
    t_high: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.guidance_scale <= LARGEST_SCALE:
            raise ValueError(
                f"guidance_scale must be in [0, {LARGEST_SCALE:.0f}], got {self.guidance_scale}"
            )
        if not 0 <= self.t_low <= self.t_high <= 1:
            raise ValueError(
                "t_low and t_high must satisfy 0 <= t_low <= t_high <= 1, "
                f"got {self.t_low} and {self.t_high}"
            )
