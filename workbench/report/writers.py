"""Who wrote the texts of a comparison: the arms, and the generators beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COST_NOTE = (
    "Training compute is 6 x parameters x tokens, padding included, summed over the models that a "
    "generator consists of (an arm's autoencoder too); a flow's second pass for self-conditioning "
    "adds 2 x parameters x tokens for the share of its batches that have one, and block diffusion "
    "reads every text twice, with masks and clean, so it counts double. Network evaluations "
    "are those of one text at the stored settings."
)


def writers_of(comparison: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Arm or generator -> its metrics: arms first, as tables and pictures show them."""
    return {**comparison["arms"], **comparison.get("generators", {})}


def all_contrasts(comparison: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Contrasts between arms, then those of generators against each arm."""
    return [*comparison["contrasts"], *comparison.get("generator_contrasts", [])]


def cost_rows(comparison: Mapping[str, Any]) -> list[dict[str, str]]:
    """One row per arm and generator: size, training and writing; none without generators."""
    return [
        {
            "generator": name,
            "parameters": f"{cost['parameters']:,}",
            "training tokens": _spent(cost["training_tokens"]),
            "training compute, FLOPs": _spent(cost["training_compute"]),
            "network evaluations": str(cost["nfe"]),
            "seconds per text": f"{cost['seconds_per_text']:.2g}",
        }
        for name, cost in comparison.get("costs", {}).items()
    ]


def _spent(value: float | None) -> str:
    """A count in three digits; of released weights it is not known."""
    return "not known" if value is None else f"{value:.3g}"
