"""Where a text is cut into context and target, and how continuations are sampled."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.configs.checks import added
from models.configs.flow import LARGEST_SCALE, GuidanceConfig, SamplerConfig


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
