"""Random draws from an explicit generator, reproducible wherever the model lives.

Draws are made on the generator's own device and moved afterwards, so that a CPU generator yields
the same noise for a model on the CPU and for one on an accelerator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor


def normal_like(reference: Tensor, generator: Generator) -> Tensor:
    """Draw standard normal noise in the shape, dtype and device of `reference`."""
    import torch

    noise = torch.randn(
        reference.shape, generator=generator, device=generator.device, dtype=reference.dtype
    )
    return noise.to(reference.device)


def uniform(shape: tuple[int, ...], reference: Tensor, generator: Generator) -> Tensor:
    """Draw float32 uniform numbers in [0, 1) on the device of `reference`."""
    import torch

    return torch.rand(shape, generator=generator, device=generator.device).to(reference.device)


def own_draws(
    draw: Callable[..., Tensor],
    shape: tuple[int, ...],
    generators: Sequence[Generator],
    active: Sequence[bool] | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """(B, *shape) random numbers on the CPU, each row's from its own generator.

    Args:
        draw: `torch.rand` or `torch.randn`.
        shape: Of one row.
        generators: B generators on the CPU.
        active: (B,) rows that draw; the others are zeros. None = all.
        dtype: Of the numbers; None = torch's default.
    """
    import torch

    rows = torch.zeros((len(generators), *shape), dtype=dtype)
    for row, generator in enumerate(generators):
        if active is None or active[row]:
            rows[row] = draw(shape, generator=generator, dtype=dtype)
    return rows
