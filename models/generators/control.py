"""Control of a diffusion of embeddings by a classifier that reads its noisy states.

At each step of writing the noisy embeddings climb the classifier's log probability of the wanted
class, held by a fluency term near what the step's own distribution makes likely.
Source: Li et al. 2022, arXiv 2205.14217, section 5.1; Dhariwal and Nichol 2021, arXiv 2105.05233.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import RotaryTable
from models.dit import TimestepEmbedder
from models.layers import Block, compute_dtype, initialise, layer_norm

HEADS = 4


class NoisyClassifier(nn.Module):
    """Reads the class of a text from its noisy embeddings: one Transformer block, then the mean.

    Args:
        embedding_width: Of the embeddings.
        window: Most positions.
        classes: Number of classes.
        generator: Of the initial weights.
        width: Of the block.
    """

    def __init__(
        self,
        embedding_width: int,
        window: int,
        classes: int,
        generator: torch.Generator,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.up = nn.Linear(embedding_width, width)
        self.t_embedder = TimestepEmbedder(width)
        self.rotary = RotaryTable(width // HEADS, window)
        self.block = Block(width, HEADS, 2.0)
        self.out = nn.Linear(width, classes)
        initialise(self, generator)

    def forward(self, z: Tensor, signal: Tensor) -> Tensor:
        """Logits (B, C) of z (B, L, D), of whose variance the shares `signal` (B,) are left."""
        rope = self.rotary(z.shape[1], compute_dtype(z))
        x = layer_norm(self.up(z) + self.t_embedder(signal).unsqueeze(1))
        return self.out(layer_norm(self.block(x, rope)).mean(dim=1))

    def loss(
        self, embeddings: Tensor, schedule: Tensor, labels: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Cross entropy in nats per text, each at a noise level of its own.

        Args:
            embeddings: (B, L, D) of clean texts.
            schedule: (S,) share of the signal's variance left at each level.
            labels: (B,) int64.
            generator: Of levels and noise.
        """
        device = embeddings.device
        level = torch.randint(len(schedule), (len(labels),), generator=generator).to(device)
        noise = torch.randn(embeddings.shape, generator=generator).to(device)
        signal = schedule[level]
        share = signal[:, None, None]
        return F.cross_entropy(
            self(share.sqrt() * embeddings + (1 - share).sqrt() * noise, signal), labels
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """A wanted class, and how hard each step of writing climbs towards it.

    Args:
        classifier: Trained on noisy embeddings.
        target: The wanted class.
        num_steps: Steps of Adagrad at each step of writing.
        rate: Their size.
        fluency: Weight of the log density of the step's own distribution.
    """

    classifier: NoisyClassifier
    target: int
    num_steps: int = 3
    rate: float = 0.1
    fluency: float = 0.01

    def move(
        self, z: Tensor, mean: Tensor, variance: Tensor, signal: Tensor, open_: Tensor
    ) -> Tensor:
        """z (B, L, D) after climbing; only positions where `open_` (B, L) move.

        Args:
            z: What the step drew.
            mean: (B, L, D) of the distribution that it drew from.
            variance: () of it.
            signal: () share of the signal's variance left in z.
            open_: Positions that are being written.
        """
        # Tensors of inference mode cannot be differentiated; clones made outside of it can.
        with torch.inference_mode(False), torch.enable_grad():
            moved, centre = z.clone().requires_grad_(), mean.clone()
            spread, share = float(variance), signal.clone().expand(len(z))
            optimizer = torch.optim.Adagrad([moved], lr=self.rate)
            for _ in range(self.num_steps):
                wanted = self.classifier(moved, share).log_softmax(dim=-1)[:, self.target].sum()
                likely = -(moved - centre).square().sum() / (2 * max(spread, 1e-8))
                optimizer.zero_grad()
                (gradient,) = torch.autograd.grad(-wanted - self.fluency * likely, moved)
                moved.grad = gradient
                optimizer.step()
            found = moved.detach()
        return torch.where(open_[..., None], found, z)
