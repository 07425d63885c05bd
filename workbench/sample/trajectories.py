"""Stored denoising trajectories: every step of a sampler with what the decoder reads there.

File: safetensors with `t` (S,), `nfe` (S,), `z_t` and `z_hat` (S, B, L, D) float16, `token_ids`
(S, B, L) int32, `entropy` and `margin` (S, B, L) float32, `cuts` (B,); prompts as JSON metadata.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from workbench.store.atomic import publish

if TYPE_CHECKING:
    from models.configs.flow import SamplerConfig
    from workbench.sample.generate import Continuations
    from workbench.sample.prompts import Prompts
    from workbench.study.folders import Run


def write_trajectory(
    path: Path, result: Continuations, prompts: Prompts, guidance_scale: float
) -> None:
    """Write a traced result."""
    from safetensors.torch import save_file

    steps = result.trace
    tensors = {
        "t": torch.tensor([step.t for step in steps], dtype=torch.float64),
        "nfe": torch.tensor([step.nfe for step in steps]),
        "z_t": torch.stack([step.z_t for step in steps]).half(),
        "z_hat": torch.stack([step.z_hat for step in steps]).half(),
        "token_ids": torch.stack([step.token_ids for step in steps]).int(),
        "entropy": torch.stack([step.entropy for step in steps]),
        "margin": torch.stack([step.margin for step in steps]),
        "cuts": torch.tensor(prompts.cuts),
    }
    metadata = {
        "prompts": json.dumps(result.prompts),
        "continuations": json.dumps(result.texts),
        "guidance_scale": repr(guidance_scale),
    }
    save_file(tensors, path, metadata=metadata)


def read_trajectory(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Tensors and metadata of a trajectory file."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    return tensors, metadata


def store_trace(
    run: Run,
    result: Continuations,
    prompts: Prompts,
    sampler: SamplerConfig,
    guidance_scale: float,
    seed: int,
) -> Path:
    """Keep the trajectory of a user's prompts under the run; returns its folder."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    directory = run.directory / "traces" / f"{stamp}-{sampler.name}-seed-{seed}"
    with publish(directory, meta={"kind": "trace"}) as folder:
        write_trajectory(folder / "trajectory.safetensors", result, prompts, guidance_scale)
    return directory
