"""Proof that two arms are twins: hashes of initial weights, data order and noise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.machine.seeds import step_generator

NOISE_DRAWS = 64
# Twins provably share weights, data order and noise; nothing is known about an outside model.
NOT_PROVED = "not proved equal in anything"
# Beside the contrasts of an arm in its teacher's own space.
NO_TWIN = "a reference arm is no twin: it shares prompts and noise, and learns no space"


def digest_tensors(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """16 hex digits over names, shapes and bytes."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def digest_weights(model: nn.Module, without: tuple[str, ...] = ("projector", "vector")) -> str:
    """Hash of a model's weights, leaving out the REPA projector and a sentence vector's maps.

    The projector is not part of the autoencoder. Its input differs between alignment sites, and its
    output depends on the teacher's width. A vector's maps are what an arm with it declares.
    """
    return digest_tensors(
        (name, tensor)
        for name, tensor in model.state_dict().items()
        if not any(part in name for part in without)
    )


def digest_noise(seed: int, stage: str, num_steps: int) -> str:
    """Hash of the first draws of every step's generator, the only source of noise in a stage."""
    device = torch.device("cpu")
    draws = [
        torch.randn(2, generator=step_generator(device, seed, stage, step, 0))
        for step in range(0, num_steps, max(1, num_steps // NOISE_DRAWS))
    ]
    return digest_tensors([("noise", torch.cat(draws))])


def compare_pairing(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, bool]:
    """Whether runs of one seed agree in initial weights, data order and noise.

    Args:
        runs: run name -> its `pairing` record of hashes.

    Returns:
        `init`, `data_order`, `noise` -> True when all runs agree.
    """
    verdict = {}
    for kind in ("init", "data_order", "noise"):
        keys = {key for record in runs.values() for key in record if key.startswith(kind)}
        verdict[kind] = bool(keys) and all(
            len({record.get(key) for record in runs.values()}) == 1 for key in keys
        )
    return verdict
