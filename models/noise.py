"""Random draws from an explicit generator, reproducible wherever the model lives.

Draws are made on the generator's own device and moved afterwards, so that a CPU generator yields
the same noise for a model on the CPU and for one on an accelerator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
