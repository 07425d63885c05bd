"""How cost grows: a DiT step with sequence length, exact neighbours with the number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from analyses.numerics.neighbors import NeighborConfig, nearest_neighbors
from benchmarks.measuring import Growth, Setting, measure_growth
from models.configs.flow import FlowConfig, TextDiTConfig
from models.dit import TextDiT
from models.flow import flow_loss
from models.precision import bfloat16_autocast

LENGTHS = (32, 64, 128, 256, 512)
ROWS = (1_000, 2_000, 4_000, 8_000, 16_000)
BATCH, LATENT_WIDTH, FEATURES = 8, 16, 64


def growth(setting: Setting) -> Iterator[Growth]:
    """Both exponents."""
    lengths, rows = (LENGTHS[:3], ROWS[:3]) if setting.quick else (LENGTHS, ROWS)
    repeats = setting.repeats(7)
    yield measure_growth(
        "DiT step, 128 x 4, batch 8", "length", {n: _dit_step(n) for n in lengths}, repeats=repeats
    )
    yield measure_growth(
        "exact kNN, 64 features", "rows", {n: _neighbors(n) for n in rows}, repeats=repeats
    )


def _dit_step(length: int) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    config = TextDiTConfig(width=128, layers=4, heads=4, latent_width=LATENT_WIDTH, window=length)
    dit = TextDiT(config, generator)
    optimizer = torch.optim.AdamW(dit.parameters(), fused=True)
    z = torch.randn(BATCH, length, LATENT_WIDTH, generator=generator)
    ctx_mask = (torch.arange(length) < length // 2).expand(BATCH, length)
    # Self-conditioning is off, because it adds a second pass to random steps.
    flow = FlowConfig(self_conditioning_prob=0.0)

    def step() -> None:
        with bfloat16_autocast("cpu"):
            loss = flow_loss(dit, z, z, ctx_mask, flow, generator).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _neighbors(num_rows: int) -> Callable[[], None]:
    features = np.random.default_rng(0).standard_normal((num_rows, FEATURES)).astype(np.float32)
    config = NeighborConfig(k=10, metric="euclidean")

    def search() -> None:
        nearest_neighbors(features, config)

    return search
