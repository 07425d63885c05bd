"""Where a model runs: device, threads, precision, and the processes that share the work."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import nn

from models.precision import has_fast_bfloat16

if TYPE_CHECKING:
    from workbench.training import TrainingConfig


@dataclass(frozen=True, slots=True)
class Placement:
    """A device and this process's place among `world_size` processes."""

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """True in the one process that writes."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """True in every process when it is True in one, so that all stop at the same step."""
        if self.world_size == 1:
            return flag
        shared = torch.tensor([float(flag)], device=self.device)
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return bool(shared.item())

    def wrap(
        self, objective: nn.Module, model: nn.Module, config: TrainingConfig
    ) -> nn.Module:
        """`objective`, which holds `model`, as `config` wants it called.

        Compiled, replicated over processes (DDP) or with parameters sharded (FSDP2).
        """
        if config.compile:
            model.compile()
        if self.world_size == 1:
            return objective
        if config.shard == "fsdp":
            from torch.distributed.fsdp import fully_shard

            fully_shard(model)
            return objective
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(objective, find_unused_parameters=True)


def find_placement(device: str = "auto") -> Placement:
    """The device by name (`auto`, `cpu`, `cuda`, `cuda:1`, `mps`) and torchrun's rank, if any.

    Raises:
        ValueError: the device does not exist here.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {device!r}: no CUDA device here; use device=cpu")
    if device == "cuda" and world > 1:
        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    return Placement(torch.device(device), rank, world)


@contextlib.contextmanager
def process_group(place: Placement) -> Iterator[None]:
    """Join torchrun's processes (nccl on GPUs, gloo on CPUs); does nothing when alone."""
    if place.world_size == 1 or dist.is_initialized():
        yield
        return
    if place.device.type == "cuda":
        torch.cuda.set_device(place.device)
    dist.init_process_group("nccl" if place.device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def autocast(place: Placement, precision: str) -> contextlib.AbstractContextManager[object]:
    """bfloat16 autocast when `precision` is bf16, or auto on hardware that gains by it."""
    wanted = precision == "bf16" or (precision == "auto" and has_fast_bfloat16(place.device))
    return torch.autocast(place.device.type, torch.bfloat16, enabled=wanted)


def set_threads(count: int) -> None:
    """Use `count` threads within an operation (0 leaves the library's choice)."""
    if count > 0:
        torch.set_num_threads(count)
