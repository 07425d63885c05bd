"""Stages that need a GPU; without one the table says that they were not run."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.measuring import NotRun, Setting

STAGES = (
    ("VAE and DiT step of 100M parameters and more, one GPU", "nanoGPT's training step", 1.15),
    ("VAE and DiT step below 10M parameters, one GPU", "eager loop", 4.0),
    ("several processes, eight GPUs", "linear gain over one", 0.9),
)


def on_gpus(setting: Setting) -> Iterator[NotRun]:
    """One line per stage."""
    reason = "these benchmarks use the CPU only" if torch.cuda.is_available() else "no device"
    for stage, peer, goal in STAGES:
        yield NotRun(stage=stage, peer=peer, goal=goal, reason=reason)
