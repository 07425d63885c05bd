"""Shard parameters over processes (FSDP2), and gather them into whole tensors again.

Each Transformer block is one unit of communication; the objective around the model holds the rest.
Parameters are kept between forward and backward, so a step gathers each of them exactly once,
however many forward passes it makes. Processes that draw different numbers of passes
(self-conditioning) therefore still communicate alike. Gradients and optimiser state stay sharded.

Torch's sharding is imported where it is used: it takes a second to load, and whoever reads latents
or trains in one process needs none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

import torch.distributed as dist
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

# Options of torch's `StateDictOptions`.
GATHER: Mapping[str, Any] = {"full_state_dict": True, "cpu_offload": True}
SCATTER: Mapping[str, Any] = {"full_state_dict": True}
# A parameter without a gradient (the projector of an unaligned arm) has no state either.
SCATTER_STATE: Mapping[str, Any] = {"full_state_dict": True, "strict": False}


def is_sharded(tensor: Tensor) -> TypeGuard[DTensor]:
    """Whether a tensor is spread over processes."""
    return hasattr(tensor, "device_mesh")


def repeated_blocks(model: nn.Module) -> list[nn.Module]:
    """The Transformer blocks of a model: everything in its module lists."""
    return [block for part in model.modules() if isinstance(part, nn.ModuleList) for block in part]


def shard_parameters(root: nn.Module, device_type: str) -> None:
    """Shard the parameters under `root`, in place, over all processes of the group."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device_type, (dist.get_world_size(),))
    for module in (*repeated_blocks(root), root):
        fully_shard(module, mesh=mesh, reshard_after_forward=False)


def full_weights(model: nn.Module) -> dict[str, Tensor]:
    """Name -> whole CPU tensor in the main process, empty elsewhere; all processes must call it."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    gathered = get_model_state_dict(model, options=StateDictOptions(**GATHER))
    return {name: value for name, value in gathered.items() if isinstance(value, Tensor)}


def load_full_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load whole tensors, held by every process, into a sharded model."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    set_model_state_dict(model, dict(weights), options=StateDictOptions(**SCATTER))


class GatheredOptimizer:
    """A sharded optimiser's state as whole tensors, keyed by parameter name.

    It has an optimiser's `state_dict` and `load_state_dict`, so a checkpoint accepts it as one.
    The checkpoint stores its class name: sharded and plain trainings key their states differently,
    and each refuses the other's.
    """

    def __init__(
        self, model: nn.Module, optimizer: Any, gathered: dict[str, Any] | None = None
    ) -> None:
        self._model, self._optimizer, self._gathered = model, optimizer, gathered

    @classmethod
    def gather(cls, model: nn.Module, optimizer: Any) -> GatheredOptimizer:
        """Gather the state now; every process must call it."""
        from torch.distributed.checkpoint.state_dict import (
            StateDictOptions,
            get_optimizer_state_dict,
        )

        options = StateDictOptions(**GATHER)
        return cls(model, optimizer, get_optimizer_state_dict(model, optimizer, options=options))

    def state_dict(self) -> dict[str, Any]:
        """What was gathered; empty outside the main process."""
        assert self._gathered is not None
        return self._gathered

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Scatter whole tensors, held by every process, into the optimiser."""
        from torch.distributed.checkpoint.state_dict import (
            StateDictOptions,
            set_optimizer_state_dict,
        )

        options = StateDictOptions(**SCATTER_STATE)
        set_optimizer_state_dict(self._model, self._optimizer, state, options=options)
