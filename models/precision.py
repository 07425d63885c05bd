"""Where bfloat16 autocast pays: CUDA, and CPUs with native bfloat16 instructions.

Elsewhere bfloat16 is emulated and slower than float32, so it is off.
"""

from __future__ import annotations

import torch


def has_fast_bfloat16(device: torch.device | str) -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # The public get_capabilities() is younger than the oldest torch we support (2.11).
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def bfloat16_autocast(device: torch.device | str) -> torch.autocast:
    """A context that autocasts to bfloat16 where `has_fast_bfloat16`, and does nothing elsewhere.

    The autocast cache of cast weights lives as long as the outermost context: enter it once
    around a loop over batches rather than once per batch.
    """
    device = torch.device(device)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_fast_bfloat16(device))
