"""Guidance: both halves in one batched forward, against one forward per half."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.measuring import Row, Setting, compare
from benchmarks.workload import Workload, open_workload
from models.dit import TextDiT
from models.guidance import ContextVelocity
from workbench.machine.devices import autocast

BATCHES = (1, 8, 64)
TIME = 0.4
LARGEST_DIFFERENCE = 1e-5

Halves = tuple[Tensor, Tensor]


def guidance(setting: Setting) -> Iterator[Row]:
    """One evaluation of both halves, as sampling runs it, at several batch sizes."""
    workload = open_workload(setting.directory)
    dit = lively(workload.dit().eval())
    for batch in BATCHES[:2] if setting.quick else BATCHES:
        both, two = _halves(dit, workload, batch)
        difference = max(float((a - b).abs().max()) for a, b in zip(both(), two(), strict=True))
        with autocast(workload.place, "auto"):
            ratio = compare(both, two, repeats=setting.repeats(40), warm_up=3)
        yield Row(
            stage=f"guided velocity, batch {batch}",
            peer="two forwards, context in each",
            ratio=ratio,
            goal=1.7,
            gate=f"largest difference in float32 {difference:.1e} < {LARGEST_DIFFERENCE}",
            gate_passed=difference < LARGEST_DIFFERENCE,
        )


def lively(dit: TextDiT) -> TextDiT:
    """Give an untrained network, whose output is exactly 0, a non-zero output."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in dit.parameters():
            if not parameter.any():
                parameter.normal_(0.0, 0.02, generator=generator)
    return dit


def _halves(
    dit: TextDiT, workload: Workload, batch: int
) -> tuple[Callable[[], Halves], Callable[[], Halves]]:
    rows = np.arange(batch)
    ctx, _, cuts = workload.latents().gather(rows, 0 * rows)
    ctx_mask = torch.arange(ctx.shape[1]) < cuts[:, None]
    z_t = torch.randn(ctx.shape, generator=torch.Generator().manual_seed(0))

    def both() -> Halves:
        return ContextVelocity(dit, ctx, ctx_mask, "z").both(z_t, TIME)

    def two() -> Halves:
        # One field per half, so that neither inherits the other's self-conditioning estimate.
        cond = ContextVelocity(dit, ctx, ctx_mask, "z").single(z_t, TIME, drop=False)
        uncond = ContextVelocity(dit, ctx, ctx_mask, "z").single(z_t, TIME, drop=True)
        return cond, uncond

    return both, two
