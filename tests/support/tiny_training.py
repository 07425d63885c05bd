"""A two-layer model with its optimizer, whose state at every step is known again by its bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from workbench.store import save_checkpoint
from workbench.store.checkpoints import Checkpoint


class TinyTraining:
    """Deterministic training of 30 weights."""

    def __init__(self, seed: int = 0, fused: bool = True) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
        for parameter in self.model.parameters():
            torch.nn.init.normal_(parameter, generator=self.generator)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01, fused=fused)
        self.step = 0

    def run(self, num_steps: int) -> TinyTraining:
        for _ in range(num_steps):
            inputs = torch.randn(8, 4, generator=self.generator)
            self.optimizer.zero_grad()
            self.model(inputs).square().mean().backward()
            self.optimizer.step()
            self.step += 1
        return self

    def save(self, directory: Path, keep: int = 1) -> Path:
        return save_checkpoint(
            directory,
            self.step,
            self.model.state_dict(),
            self.optimizer,
            {"step_again": self.step},
            {"generator": self.generator.get_state()},
            keep=keep,
        )

    def restore(self, checkpoint: Checkpoint) -> TinyTraining:
        self.model.load_state_dict(checkpoint.model)
        checkpoint.restore_optimizer(self.optimizer)
        self.generator.set_state(checkpoint.tensors["generator"])
        self.step = checkpoint.step
        return self

    def bits(self) -> dict[str, Any]:
        """Everything that decides the future, comparable with `==`."""
        return {
            "step": self.step,
            "model": _bits(self.model.state_dict()),
            "optimizer": _bits(self.optimizer.state_dict()),
            "generator": _bits(self.generator.get_state()),
        }


def restored_bits(checkpoint: Checkpoint | None) -> dict[str, Any]:
    """State that a training continues from, after `checkpoint` went into a fresh one."""
    assert checkpoint is not None
    return TinyTraining(seed=99).restore(checkpoint).bits()


def _bits(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: _bits(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_bits(item) for item in value)
    return value
