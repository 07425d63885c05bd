"""A toy network of every family of generators, and what it writes after toy prompts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.generators.families import FAMILIES

VOCABULARY, WINDOW = 19, 12
CTX_LEN = torch.tensor([0, 5, 12, 3])
SAMPLING: dict[str, Any] = {
    "llada": {"num_steps": 6, "blocks": 2},
    "block-diffusion": {"num_steps": 3},
    "ssd-lm": {"num_steps": 3},
    "diffusion-lm": {"num_steps": 6},
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sizes(name: str, **other: Any) -> Any:
    """Settings of a toy network, with blocks that neither prompts nor the window divide into."""
    network = FAMILIES[name].network
    own = {"block_size": 5} if "block_size" in network.__dataclass_fields__ else {}
    return network(vocab_size=VOCABULARY, window=WINDOW, width=32, layers=2, **{**own, **other})


def build(name: str, seed: int = 0, **other: Any) -> Any:
    model = FAMILIES[name].model()(sizes(name, **other), seeded(seed)).eval()
    with torch.no_grad():  # confidences that differ by more than rounding does
        for parameter in model.parameters():
            if parameter.shape == (VOCABULARY + 1, 32) or (
                name == "ssd-lm" and parameter.shape == (VOCABULARY, 32)
            ):
                parameter.mul_(20)
    return model


def prompts() -> Tensor:
    return torch.randint(1, VOCABULARY, (4, WINDOW), generator=seeded(3))


def write(name: str, rows: slice = slice(None), seed: int = 7, **options: Any) -> list[Any]:
    model, sampling = build(name), FAMILIES[name].sampling(**{**SAMPLING.get(name, {}), **options})
    generators = [seeded(seed + row) for row in range(4)][rows]
    return list(model.write(prompts()[rows], CTX_LEN[rows], sampling, generators))
