"""Denoising trajectories: every moment from noise to text, with the decoder's reading.

File: safetensors with `t` (S,), `nfe` (S,), `z_t` and `z_hat` (S, B, L, D) float16, `token_ids`
(S, B, L) int32, `entropy` and `margin` (S, B, L) float32, `cuts` (B,); prompts and texts as JSON
metadata.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

# The axes of each array of B prompts in a file.
STORED = {
    "t": np.float64, "nfe": np.int64, "z_t": np.float16, "z_hat": np.float16,
    "token_ids": np.int32, "entropy": np.float32, "margin": np.float32, "cuts": np.int64,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory:
    """S moments of B prompts; the B axis is left out when a single prompt is followed.

    Attributes:
        t: (S,) flow time of each moment; a branch that goes back passes some times twice.
        nfe: (S,) network evaluations up to each moment.
        z_t: (S, B, L, D) float32 normalised states, context positions at their clean latents;
            (S, B, P, D) as the generator has them where they are not aligned.
        z_hat: the same shape, the clean latent predicted at each moment.
        token_ids: (S, B, L) int64, the decoder's reading of `z_hat`.
        entropy: (S, B, L) nats, of the decoder's distribution.
        margin: (S, B, L) probability of the decoder's first choice minus its second.
        cuts: (B,) context tokens.
        texts: (S, B) continuations as an adapter decoded them, from all its P latents; None where
            latent k is token k, the prompt's included.
    """

    t: np.ndarray
    nfe: np.ndarray
    z_t: np.ndarray
    z_hat: np.ndarray
    token_ids: np.ndarray
    entropy: np.ndarray
    margin: np.ndarray
    cuts: np.ndarray
    texts: Sequence[Any] | None = None

    @property
    def aligned(self) -> bool:
        """Whether latent k is token k."""
        return self.texts is None

    @property
    def path(self) -> np.ndarray:
        """(S, P, D) states of the single prompt's continuation."""
        return self.z_t[:, self.cut :] if self.aligned else self.z_t

    @property
    def cut(self) -> int:
        """Number of context tokens of the single prompt."""
        return int(self.cuts)


def join_prompts(parts: Sequence[Trajectory]) -> Trajectory:
    """Join the trajectories of several batches of prompts that share their moments."""
    first = parts[0]
    rows = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=1)
        for name in ("z_t", "z_hat", "token_ids", "entropy", "margin")
    }
    cuts = np.concatenate([part.cuts for part in parts])
    texts = None
    if not first.aligned:
        moments = zip(*(part.texts or () for part in parts), strict=True)
        texts = [list(chain.from_iterable(moment)) for moment in moments]
    return Trajectory(t=first.t, nfe=first.nfe, cuts=cuts, texts=texts, **rows)


def write_trajectory(
    path: Path,
    trajectory: Trajectory,
    prompts: Sequence[str],
    continuations: Sequence[str],
    guidance_scale: float,
) -> None:
    """Write a trajectory of B prompts with their texts."""
    from safetensors.numpy import save_file

    arrays = {
        name: np.ascontiguousarray(getattr(trajectory, name), kind) for name, kind in STORED.items()
    }
    metadata = {
        "prompts": json.dumps(prompts),
        "continuations": json.dumps(continuations),
        "guidance_scale": repr(guidance_scale),
        "texts": json.dumps(trajectory.texts),
    }
    save_file(arrays, path, metadata=metadata)


def read_trajectory(path: Path) -> tuple[Trajectory, dict[str, Any]]:
    """A stored trajectory, and its texts: `prompts`, `continuations`, `guidance_scale`."""
    from safetensors import safe_open

    wide = {"z_t": np.float32, "z_hat": np.float32, "token_ids": np.int64}
    with safe_open(path, framework="numpy") as file:
        arrays = {
            name: file.get_tensor(name).astype(wide.get(name, kind), copy=False)
            for name, kind in STORED.items()
        }
        metadata = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    return Trajectory(**arrays, texts=metadata.pop("texts", None)), metadata
