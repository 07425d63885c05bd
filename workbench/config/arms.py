"""Arms that have a name, as overrides of a study's base; their sources are in docs/METHODS.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ALIGNED_BLOCK = {"flow.repa_weight": 0.5, "dit.repa_depth": 0.3}  # REPA's weight and depth
# With these the Gram error takes about the share of the encoder's gradient that REPA has at 1.
GRAM_WEIGHT, GRAM_ACROSS_WEIGHT = 2.0, 2.5
STANDARD_ARMS: Mapping[str, Mapping[str, Any]] = {
    "none": {"vae_loss.repa_weight": 0.0},
    "repa": {"vae_loss.repa_weight": 1.0},
    "permuted": {"vae_loss.repa_weight": 1.0, "teacher.permuted": True},
    "random": {"vae_loss.repa_weight": 1.0, "teacher.name": "random"},
    # Other ways of aligning, with their sources in docs/METHODS.md.
    "gram": {"vae_loss.repa_weight": GRAM_WEIGHT, "vae_loss.alignment": "gram"},
    "gram-across": {
        "vae_loss.repa_weight": GRAM_ACROSS_WEIGHT,
        "vae_loss.alignment": "gram",
        "vae_loss.gram_texts": 8,
    },
    "irepa": {
        "vae_loss.repa_weight": 1.0,
        "vae.projector": "conv",
        "teacher.standardise": "sequence",
    },
    "repa-linear": {"vae_loss.repa_weight": 1.0, "vae.projector": "linear"},
    "repa-conv": {"vae_loss.repa_weight": 1.0, "vae.projector": "conv"},
    "repa-sequence": {"vae_loss.repa_weight": 1.0, "teacher.standardise": "sequence"},
    "deep": {"vae_loss.repa_weight": 1.0, "vae.projector": "deep"},
    "masked": {"vae_loss.repa_weight": 1.0, "vae.projector": "deep", "vae.mask_share": 0.25},
    "predictive": {"vae_loss.repa_weight": 1.0, "vae.projector": "deep", "vae.mask_target": True},
    # No twin but a reference: the teacher's own space, with about the log-SNR of the twins.
    "teacher-reference": {
        "vae_loss.repa_weight": 0.0,
        "vae.space": "teacher",
        "vae.mu_norm": "none",
        "vae.sigma": "fixed",
        "vae.sigma_value": 0.5,
    },
    "repa-dit": {"vae_loss.repa_weight": 0.0, **ALIGNED_BLOCK},
    "repa-both": {"vae_loss.repa_weight": 1.0, **ALIGNED_BLOCK},
    "reg": {"vae_loss.repa_weight": 1.0, "flow.reg_weight": 0.03},  # REG's own weight
}
REPA_WEIGHT = "vae_loss.repa_weight"
REFERENCE = "-reference"  # ends the name of an arm that is no twin: so every table shows it
# What has no effect in a space that is not learnt.
FROZEN = {
    "vae_loss.repa_weight": 0,
    "teacher.permuted": False,
    "teacher.standardise": "dimension",
    "vae_training.shard": "none",
}


def standard_arms(names: Iterable[str], repa_weight: float = 1.0) -> dict[str, dict[str, Any]]:
    """Standard arms by name, all that are aligned by the same weight (TextLDM's is 1)."""
    return {
        name: {**STANDARD_ARMS[name], REPA_WEIGHT: repa_weight * STANDARD_ARMS[name][REPA_WEIGHT]}
        for name in names
    }
