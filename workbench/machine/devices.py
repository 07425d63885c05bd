"""Where a model runs: device, threads, precision, and the processes that share the work."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from models.precision import has_fast_bfloat16
from workbench.errors import ResourceError
from workbench.machine.heartbeat import Presence

if TYPE_CHECKING:
    from workbench.config.training import TrainingConfig

STEP_PATIENCE = timedelta(minutes=30)  # how long processes wait for each other within a training

_joined: list[Presence] = []


@dataclass(frozen=True, slots=True)
class Placement:
    """A device and this process's place among `world_size` processes."""

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """True only in the process that writes."""
        return self.rank == 0

    def alone(self) -> Placement:
        """The same device, for work that one process does alone."""
        return replace(self, rank=0, world_size=1)

    def any(self, flag: bool) -> bool:
        """True in every process if it is True in any, so that all of them act at the same step."""
        if self.world_size == 1:
            return flag
        shared = torch.tensor([float(flag)], device=self.device)
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return bool(shared.item())

    def mean(self, values: Tensor) -> Tensor:
        """Mean of each number in `values` over processes, ignoring NaN; (n,) to (n,)."""
        if self.world_size == 1:
            return values
        known = ~values.isnan()
        shared = torch.stack([values.nan_to_num(0.0), known.to(values.dtype)])
        dist.all_reduce(shared)
        return torch.where(shared[1] > 0, shared[0] / shared[1].clamp_min(1), torch.nan)

    def wait_for_all(self) -> None:
        """Return when every process has arrived here, which may take days.

        Raises:
            ResourceError: another one died or hung, see `presence`.
        """
        if self.world_size > 1:
            assert _joined, "processes wait for each other within `process_group`"
            _joined[-1].wait_for_all()


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
    try:
        return Placement(torch.device(device), rank, world)
    except RuntimeError as error:
        raise ValueError(f"device {device!r}: choose auto, cpu, cuda, cuda:<n> or mps") from error


@contextlib.contextmanager
def process_group(place: Placement) -> Iterator[None]:
    """Join torchrun's processes (nccl on GPUs, gloo on CPUs); does nothing with one process.

    Raises:
        ResourceError: another process died, or did not answer for `STEP_PATIENCE`.
    """
    if place.world_size == 1 or dist.is_initialized():
        yield
        return
    if place.device.type == "cuda":
        torch.cuda.set_device(place.device)
    backend = "nccl" if place.device.type == "cuda" else "gloo"
    store, rank, world_size = next(rendezvous("env://", timeout=STEP_PATIENCE))
    dist.init_process_group(
        backend, store=store, rank=rank, world_size=world_size, timeout=STEP_PATIENCE
    )
    presence = Presence(dist.PrefixStore("presence", store), rank, world_size)
    _joined.append(presence)
    try:
        with presence.shown():
            yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo/transport" not in str(error):
            raise
        raise ResourceError(
            f"process {place.rank} of {place.world_size}: another one died or hung; start all of "
            "them again, they go on from the last checkpoint"
        ) from error
    finally:
        _joined.remove(presence)
        dist.destroy_process_group()


def replicate(objective: nn.Module, place: Placement) -> nn.Module:
    """`objective` with gradients averaged over processes (DDP); unchanged with one process."""
    if place.world_size == 1:
        return objective
    from torch.nn.parallel import DistributedDataParallel

    # The projector gets no gradient in an arm without alignment.
    return DistributedDataParallel(objective, find_unused_parameters=True)


def check_batch(config: TrainingConfig, place: Placement) -> None:
    """Refuse a batch that cannot be divided evenly among the processes.

    Raises:
        ValueError: naming the sizes.
    """
    if config.batch_size % place.world_size:
        raise ValueError(
            f"batch_size must be a multiple of the {place.world_size} processes that share it, "
            f"got {config.batch_size}"
        )


def compute_precision(place: Placement, precision: str) -> str:
    """The precision used on this device, `bf16` or `float32`, for a setting that may be `auto`."""
    if precision == "auto":
        return "bf16" if has_fast_bfloat16(place.device) else "float32"
    return precision


def autocast(place: Placement, precision: str) -> contextlib.AbstractContextManager[object]:
    """bfloat16 autocast if `precision` is bf16, or auto on hardware where it is faster."""
    wanted = compute_precision(place, precision) == "bf16"
    return torch.autocast(place.device.type, torch.bfloat16, enabled=wanted)


def set_threads(count: int) -> None:
    """Use `count` threads within an operation, in every library (0 keeps their defaults).

    The order of a sum, and so its last bits, depends on the number of threads. Torch, NumPy's BLAS
    and libraries loaded later (faiss, by the environment variable) must all use the same number.
    """
    if count > 0:
        os.environ["OMP_NUM_THREADS"] = str(count)
        torch.set_num_threads(count)
        threadpool_limits(count)
