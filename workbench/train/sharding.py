"""Parameters spread over processes (FSDP2), and gathered whole again.

Each Transformer block is a unit of communication, and the objective around the model holds the
rest. Parameters are not let go between forward and backward: a step gathers each of them exactly
once, however many forward passes it makes, so processes that draw different numbers of passes
(self-conditioning) still communicate alike. Gradients and optimiser state stay sharded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

GATHER = StateDictOptions(full_state_dict=True, cpu_offload=True)
SCATTER = StateDictOptions(full_state_dict=True)
# A parameter without gradient (the projector of an arm without alignment) has no state either.
SCATTER_STATE = StateDictOptions(full_state_dict=True, strict=False)


def repeated_blocks(model: nn.Module) -> list[nn.Module]:
    """The Transformer blocks of a model: whatever stands in its module lists."""
    return [block for part in model.modules() if isinstance(part, nn.ModuleList) for block in part]


def shard_parameters(root: nn.Module, device_type: str) -> None:
    """Spread the parameters under `root`, in place, over all processes of the group."""
    mesh = init_device_mesh(device_type, (dist.get_world_size(),))
    for module in (*repeated_blocks(root), root):
        fully_shard(module, mesh=mesh, reshard_after_forward=False)


def full_weights(model: nn.Module) -> dict[str, Tensor]:
    """Name -> whole tensor on the CPU in the main process, nothing elsewhere; all take part."""
    gathered = get_model_state_dict(model, options=GATHER)
    return {name: value for name, value in gathered.items() if isinstance(value, Tensor)}


def load_full_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a sharded model its shards of whole tensors, which every process holds."""
    set_model_state_dict(model, dict(weights), options=SCATTER)


class GatheredOptimizer:
    """A sharded optimiser's state as whole tensors, keyed by parameter name.

    It has an optimiser's `state_dict` and `load_state_dict`, so that a checkpoint takes it for
    one. Its own class name stands in the checkpoint: the state of a sharded training is keyed
    otherwise than that of a plain one, and each refuses the other's.
    """

    def __init__(
        self, model: nn.Module, optimizer: Any, gathered: dict[str, Any] | None = None
    ) -> None:
        self._model, self._optimizer, self._gathered = model, optimizer, gathered

    @classmethod
    def gather(cls, model: nn.Module, optimizer: Any) -> GatheredOptimizer:
        """Gather the state now; every process takes part."""
        return cls(model, optimizer, get_optimizer_state_dict(model, optimizer, options=GATHER))

    def state_dict(self) -> dict[str, Any]:
        """What was gathered; empty but in the main process."""
        assert self._gathered is not None
        return self._gathered

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Scatter whole tensors, which every process holds, into the optimiser."""
        set_optimizer_state_dict(self._model, self._optimizer, state, options=SCATTER_STATE)
