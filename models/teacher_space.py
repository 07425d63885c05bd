"""The teacher's own space: principal components of the mean of its last standardised layers.

Nothing is learnt but a decoder. Source, for images: RAE, arXiv 2510.11690, and over several layers
arXiv 2605.18324. Deviation: a projection to D components, since the flow's width is its twins'.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

RELATIVE_FLOOR = 1e-6  # below this share of the largest, a std or an eigenvalue is rounding


class TeacherSpace(nn.Module):
    """The fixed map from K layers of width W to D uncorrelated channels of unit variance.

    Args:
        num_layers: K.
        width: W.
        latent_width: D.
    """

    layer_mean: Tensor
    layer_std: Tensor
    components: Tensor

    def __init__(self, num_layers: int, width: int, latent_width: int) -> None:
        super().__init__()
        self.register_buffer("layer_mean", torch.zeros(num_layers, width))
        self.register_buffer("layer_std", torch.ones(num_layers, width))
        self.register_buffer("components", torch.zeros(width, latent_width))

    def standardised(self, states: Tensor) -> Tensor:
        """Mean (..., W) over the layers of `states` (..., K, W), each standardised."""
        return ((states - self.layer_mean) / self.layer_std).mean(-2)

    def forward(self, states: Tensor, valid: Tensor) -> Tensor:
        """Map states (B, L, K, W) to latents (B, L, D); 0, their mean, where `valid` is False."""
        with torch.autocast(states.device.type, enabled=False):
            latents = self.standardised(states) @ self.components
        return latents.masked_fill(~valid.unsqueeze(-1), 0.0)

    @torch.no_grad()
    def fit(self, states: Tensor) -> None:
        """Measure means, standard deviations and components, in float64, on states (N, K, W).

        Raises:
            ValueError: the states vary in fewer than D directions.
        """
        states = states.double()
        std = states.std(0, correction=0)
        std = torch.where(std <= RELATIVE_FLOOR * std.max(), torch.ones_like(std), std)
        self.layer_mean.copy_(states.mean(0))
        self.layer_std.copy_(std)
        x = ((states - states.mean(0)) / std).mean(1)  # (N, W), centred
        values, vectors = torch.linalg.eigh(x.T @ x / len(x))  # ascending
        width = self.components.shape[1]
        values, vectors = values.flip(0)[:width], vectors.flip(1)[:, :width]
        if len(values) < width or values[-1] <= RELATIVE_FLOOR * values[0]:
            raise ValueError(
                f"latent_width must not exceed the directions in which the teacher's states vary, "
                f"got {width}"
            )
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))  # signs are free
        self.components.copy_(vectors * largest.sign() / values.sqrt())
