"""Muon: momentum with an orthogonalised update, for the matrices inside Transformer blocks.

Everything else (embeddings, biases, gains, the first and last map) is trained by AdamW in the same
optimiser, so checkpoints and sharding see one state. `torch.optim.Muon` handles neither sharded
matrices nor matrices that join several maps (queries, keys and values; adaLN's shifts, scales and
gates), and it orthogonalises one matrix at a time. Here joined maps are treated one by one, and
matrices of the same shape share one batched product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from models.joined_linear import JoinedLinear
from models.precision import has_fast_bfloat16
from workbench.train.sharding import is_sharded, repeated_blocks

MOMENTUM = 0.95
NEWTON_SCHULZ_STEPS = 5
# Jordan et al. 2024: steep at 0, so small singular values reach about 1 in five steps.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
# An orthogonal (m, n) update times this times sqrt(max(m, n)) is as large as an AdamW update.
MATCH_ADAMW = 0.2
STACKED_ELEMENTS = 2**24  # at once; larger stacks are no faster and cost memory


def block_matrices(model: nn.Module) -> dict[Tensor, int]:
    """The matrices in a model's blocks, and how many maps each one joins."""
    return {
        layer.weight: layer.parts if isinstance(layer, JoinedLinear) else 1
        for block in repeated_blocks(model)
        for layer in block.modules()
        if isinstance(layer, nn.Linear) and layer.weight.requires_grad
    }


class Muon(torch.optim.AdamW):
    """Muon with Nesterov momentum on groups that carry `parts`, AdamW on all others.

    Both use AdamW's learning rate. A step removes the gradients of Muon's matrices, so AdamW then
    skips them.

    Args:
        params: groups as for AdamW; a group's `parts` is the number of maps each matrix joins.
        **adamw: AdamW's settings.

    Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon; scale: Liu et al. 2025,
    arXiv 2502.16982.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            if "parts" in group:
                self._step_matrices(group)
        return super().step(closure)

    def _step_matrices(self, group: dict[str, Any]) -> None:
        moving = [(p, p.grad) for p in group["params"] if p.grad is not None]
        updates = orthogonalised([self._momentum(*pair) for pair in moving], group["parts"])
        rate = group["lr"]
        for (p, _), update in zip(moving, updates, strict=True):
            rows, columns = p.shape[0] // group["parts"], p.shape[1]
            p.mul_(1 - rate * group["weight_decay"])
            p.add_(_like(p, update), alpha=-rate * MATCH_ADAMW * max(rows, columns) ** 0.5)
            p.grad = None

    def _momentum(self, p: Tensor, gradient: Tensor) -> Tensor:
        """Nesterov's look-ahead, as a whole tensor in every process."""
        state = self.state[p]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)  # AdamW expects it on loading
            state["momentum_buffer"] = torch.zeros_like(p)
        state["step"] += 1
        momentum = state["momentum_buffer"].lerp_(gradient, 1 - MOMENTUM)
        ahead = torch.lerp(gradient, momentum, MOMENTUM)
        return ahead.full_tensor() if is_sharded(ahead) else ahead


def orthogonalised(matrices: list[Tensor], parts: int = 1) -> list[Tensor]:
    """Set each matrix's singular values to about 1, map by map where it joins several.

    Args:
        matrices: (m, n) each, of any shapes.
        parts: number of maps each matrix joins along its rows; it divides m.
    """
    pieces = [piece for matrix in matrices for piece in matrix.chunk(parts)]
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, piece in enumerate(pieces):
        by_shape[tuple(piece.shape)].append(index)
    done: dict[int, Tensor] = {}
    for shape, indices in by_shape.items():
        most = max(1, STACKED_ELEMENTS // (shape[0] * shape[1]))
        for start in range(0, len(indices), most):
            some = indices[start : start + most]
            stack = newton_schulz(torch.stack([pieces[index] for index in some]))
            done |= dict(zip(some, stack, strict=True))
    whole = range(0, len(pieces), parts)
    return [torch.cat([done[first + part] for part in range(parts)]) for first in whole]


def newton_schulz(stack: Tensor) -> Tensor:
    """Approximately orthogonalise a stack (N, m, n).

    Singular values above about a hundredth of the norm end between 0.7 and 1.2; smaller ones grow
    by a factor of up to 500.
    """
    a, b, c = COEFFICIENTS
    tall = stack.shape[1] > stack.shape[2]
    x = stack.mT if tall else stack
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-7)
    if has_fast_bfloat16(stack.device):
        x = x.bfloat16()
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(stack.dtype)


def _like(p: Tensor, whole: Tensor) -> Tensor:
    """A whole tensor, sharded like `p`; unchanged if `p` is not sharded."""
    if not is_sharded(p):
        return whole
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(whole, p.device_mesh, p.placements, src_data_rank=None)
