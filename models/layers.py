"""Parts of the text VAE and the diffusion transformer other than attention.

Layer norms carry no affine part: the linear map or the modulation behind each one absorbs it,
and the plain kernel is the fastest.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from models.attention import Rope, SelfAttention

NORM_EPS = 1e-6


def compute_dtype(reference: Tensor) -> torch.dtype:
    """Return the dtype of matrix products: autocast's where it is on, else that of `reference`."""
    device = reference.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return reference.dtype


def layer_norm(x: Tensor) -> Tensor:
    """Normalise the last axis to mean 0 and variance 1, without affine part, keeping the dtype."""
    return F.layer_norm(x, x.shape[-1:], eps=NORM_EPS).to(x.dtype)


class Mlp(nn.Module):
    """Position-wise feed-forward net, Linear, GELU, Linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, W) to (B, L, W). The exact GELU: its tanh form is slower on a CPU."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm Transformer block: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.attn = SelfAttention(width, heads)
        self.mlp = Mlp(width, int(width * mlp_ratio))

    def forward(self, x: Tensor, rope: Rope, mask: Tensor | None = None) -> Tensor:
        """Map (B, L, W) to (B, L, W); `mask` as `attention.prepare_mask` returns it."""
        x = x + self.attn(layer_norm(x), rope, mask)
        return x + self.mlp(layer_norm(x))


def initialise(module: nn.Module, generator: Generator | None) -> None:
    """Draw all weights anew, in module order: Xavier for maps, N(0, 1) for embeddings, bias 0.

    One generator state gives one set of weights, whatever the global random state. Modules that
    two configurations share and that stand before their first difference are drawn alike.
    """
    for child in module.modules():
        if isinstance(child, nn.Linear | nn.Conv1d):
            nn.init.xavier_uniform_(child.weight, generator=generator)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, nn.Embedding):
            nn.init.normal_(child.weight, generator=generator)
