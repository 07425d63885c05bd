"""Random numbers that depend only on what they are for: resuming needs no stored state."""

from __future__ import annotations

import hashlib

import torch


def step_generator(device: torch.device, *parts: int | str) -> torch.Generator:
    """A generator that depends on nothing but `parts`, such as (seed, stage, step, rank)."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    generator = torch.Generator(device=device)
    generator.manual_seed(int.from_bytes(digest[:7], "little"))
    return generator
