"""Settings of the text VAE and of its loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from models.configs.checks import BEFORE, added, check_choice, check_heads

MuNorm = Literal["layernorm", "none", "l2"]
Sigma = Literal["learned", "bounded", "fixed"]
Space = Literal["learned", "teacher"]
RepaSite = Literal["latent", "trunk"]
Projector = Literal["mlp", "linear", "conv", "deep"]
Alignment = Literal["cosine", "gram"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextVAEConfig:
    """Sizes and posterior of a text VAE.

    Attributes:
        vocab_size: tokens in the vocabulary; None until the corpus is known.
        window: most positions of a text; None until the corpus is known.
        width: Transformer width, a multiple of 2 * heads.
        encoder_layers: encoder blocks.
        decoder_layers: decoder blocks.
        heads: attention heads.
        mlp_ratio: feed-forward width / width.
        latent_width: channels D of a token's latent.
        space: "learned" by the encoder; or "teacher", a reference: latents are the first D
            principal components of the mean of the teacher's last `space_layers` standardised
            layers, each of unit variance, and only the decoder learns: `models.teacher_space`.
        space_layers: how many layers of the teacher that mean is over, counted from the last.
        mu_norm: "layernorm" (non-affine, over D), "l2" (norm sqrt(D)) or "none".
        sigma: "learned" (ln sigma² clamped to [-10, 4]), "bounded" (a sigmoid between `sigma_min`
            and `sigma_max`) or "fixed" (`sigma_value`).
        sigma_min: lower end of a bounded sigma, > 0.
        sigma_max: upper end of a bounded sigma.
        sigma_value: the fixed sigma, > 0.
        repa_site: what the projector reads: "latent" (mu) or "trunk" (before the heads, which
            leaves the bottleneck itself free).
        projector: "mlp" (Linear, SiLU, Linear), "linear", "conv" (kernel 3 over positions), or
            "deep" (a Transformer block before the "mlp"), see `models.projectors`.
        projector_width: hidden width of the "mlp" and "deep" projectors.
        mask_share: share of a text's positions that are hidden from the "deep" projector, drawn
            anew at each step, in [0, 1); their states must be told from the others.
        mask_target: hide all of the target from it, where context and target are encoded apart.
        teacher_width: width of the teacher's states; always needed, see `models.text_vae`.
        decoder_noise: highest level of decoder noise augmentation, in latent stds, >= 0.
    """

    vocab_size: int | None = None
    window: int | None = None
    width: int = 128
    encoder_layers: int = 2
    decoder_layers: int = 2
    heads: int = 4
    mlp_ratio: float = 4.0
    latent_width: int = 16
    space: Space = field(default="learned", metadata={BEFORE: "learned"})
    space_layers: int = added(4, before=4)
    mu_norm: MuNorm = "layernorm"
    sigma: Sigma = "learned"
    sigma_min: float = 0.05
    sigma_max: float = 1.0
    sigma_value: float = 0.3
    repa_site: RepaSite = "latent"
    projector: Projector = "mlp"
    projector_width: int = 512
    mask_share: float = added(0.0, before=0.0)
    mask_target: bool = added(False, before=False)
    teacher_width: int | None = None
    decoder_noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("vocab_size", "window", "teacher_width"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        for name in ("encoder_layers", "decoder_layers", "projector_width", "space_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        check_heads(self.width, self.heads, self.mlp_ratio)
        check_choice("space", self.space, Space)
        if self.space == "teacher" and (self.mu_norm, self.sigma) != ("none", "fixed"):
            raise ValueError(
                "space 'teacher' needs mu_norm 'none' and sigma 'fixed', for its encoder learns "
                f"nothing, got {self.mu_norm!r} and {self.sigma!r}"
            )
        check_choice("mu_norm", self.mu_norm, MuNorm)
        check_choice("sigma", self.sigma, Sigma)
        check_choice("repa_site", self.repa_site, RepaSite)
        check_choice("projector", self.projector, Projector)
        if not 0 <= self.mask_share < 1:
            raise ValueError(f"mask_share must lie in [0, 1), got {self.mask_share}")
        if (self.mask_share or self.mask_target) and self.projector != "deep":
            raise ValueError(
                "mask_share and mask_target need projector 'deep', which alone sees other "
                f"positions, got {self.projector!r}"
            )
        smallest = 2 if self.mu_norm == "layernorm" else 1
        if self.latent_width < smallest:
            raise ValueError(
                f"latent_width must be >= {smallest} with mu_norm {self.mu_norm!r}, "
                f"got {self.latent_width}"
            )
        if not 0 < self.sigma_min < self.sigma_max < math.inf:
            raise ValueError(
                "sigma_min and sigma_max must satisfy 0 < sigma_min < sigma_max, "
                f"got {self.sigma_min} and {self.sigma_max}"
            )
        if not 0 < self.sigma_value < math.inf:
            raise ValueError(f"sigma_value must be > 0, got {self.sigma_value}")
        if not 0 <= self.decoder_noise < math.inf:
            raise ValueError(f"decoder_noise must be >= 0, got {self.decoder_noise}")


@dataclass(frozen=True, kw_only=True, slots=True)
class VAELossConfig:
    """Weights and schedules of the VAE's loss.

    Attributes:
        beta: weight of the KL, >= 0.
        kl_warmup_fraction: share of the steps over which beta grows linearly from 0, in [0, 1].
        alignment: how the latents are aligned: "cosine" (of their projection with the teacher's
            states, REPA) or "gram" (the cosines among latents with those among the teacher's
            states; no projector), see `models.alignment_loss`.
        gram_texts: how many texts' latents "gram" compares with each other; 1 is each text's own.
        repa_weight: weight of the alignment, >= 0; 0 never touches teacher states.
        repa_warmup_steps: steps over which it grows linearly from 0.
        repa_stop_step: step from which it is 0; None keeps it to the end.
        repa_decay_steps: steps before the stop step over which it falls linearly to 0.
        eot_weight: weight of an end-of-text padding position in the cross entropy, > 0 (a real
            token has 1); the decoder must learn them, for they end a text.
        chunk: positions whose logits are held at a time.
    """

    beta: float = 1e-3
    kl_warmup_fraction: float = 0.1
    alignment: Alignment = field(default="cosine", metadata={BEFORE: "cosine"})
    gram_texts: int = added(1, before=1)
    repa_weight: float = 0.0
    repa_warmup_steps: int = 0
    repa_stop_step: int | None = None
    repa_decay_steps: int = added(0, before=0)
    eot_weight: float = 0.1
    chunk: int = 256

    def __post_init__(self) -> None:
        for name in ("beta", "repa_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be >= 0 and finite, got {getattr(self, name)}")
        if not 0 <= self.kl_warmup_fraction <= 1:
            raise ValueError(f"kl_warmup_fraction must be in [0, 1], got {self.kl_warmup_fraction}")
        check_choice("alignment", self.alignment, Alignment)
        if self.gram_texts < 1:
            raise ValueError(f"gram_texts must be >= 1, got {self.gram_texts}")
        if self.gram_texts > 1 and self.alignment != "gram":
            raise ValueError(
                f"gram_texts ({self.gram_texts}) needs alignment 'gram', got {self.alignment!r}"
            )
        for name in ("repa_warmup_steps", "repa_decay_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if self.repa_stop_step is not None and self.repa_stop_step < 0:
            raise ValueError(f"repa_stop_step must be >= 0, got {self.repa_stop_step}")
        if self.repa_decay_steps > (self.repa_stop_step or 0):
            raise ValueError(
                f"repa_decay_steps ({self.repa_decay_steps}) must not exceed repa_stop_step, "
                f"got {self.repa_stop_step}"
            )
        if not 0 < self.eot_weight < math.inf:
            raise ValueError(f"eot_weight must be > 0 and finite, got {self.eot_weight}")
        if self.chunk < 1:
            raise ValueError(f"chunk must be >= 1, got {self.chunk}")
