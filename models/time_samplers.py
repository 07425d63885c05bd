"""Distributions of the flow time t, for training and for time grids; 0 is noise, 1 is data.

With n standard normal and u uniform in [0, 1]:

    uniform        t = u
    logit_normal   t = sigmoid(-loc + scale * n)      loc > 0 is noisier
    mode           t = u + scale * (cos²(pi u / 2) - 1 + u)      scale > 0 favours t = 1/2

and then the shift t -> t / (t + shift * (1 - t)); shift > 1 is noisier.
Source: Esser et al. 2024, arXiv 2403.03206, section 3.1 and eq. 23; deviation: their time runs the
other way, so all three are written here for 1 - t.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from models.configs.checks import check_choice
from models.configs.flow import GridName, SamplerConfig, TimeSamplerConfig


class TimeSampler:
    """Draws, quantiles and density of one distribution of t."""

    def __init__(self, config: TimeSamplerConfig) -> None:
        self.config = config
        self.loc, self.scale = config.resolved()

    def sample_t(self, n: int, generator: Generator) -> Tensor:
        """Draw n times, (n,) float32 in [0, 1], on the generator's device."""
        device = generator.device
        if self.config.name == "logit_normal":
            normal = torch.randn(n, generator=generator, device=device)
            return self._shift(torch.sigmoid(self.scale * normal - self.loc))
        return self.quantile(torch.rand(n, generator=generator, device=device))

    def quantile(self, u: Tensor) -> Tensor:
        """Return the t below which a share u (any shape, in [0, 1]) of the draws lies.

        Exactly 0 at u = 0 and 1 at u = 1.
        """
        if self.config.name == "logit_normal":
            return self._shift(torch.sigmoid(self.scale * torch.special.ndtri(u) - self.loc))
        return self._shift(u if self.config.name == "uniform" else self._mode(u))

    def density(self, t: Tensor) -> Tensor:
        """Return the probability density at t (any shape), t in (0, 1)."""
        shift = self.config.shift
        before = shift * t / (1.0 + (shift - 1.0) * t)  # t before the shift
        slope = shift / (1.0 + (shift - 1.0) * t).square()
        return self._density_before_shift(before) * slope

    def _shift(self, t: Tensor) -> Tensor:
        return t / (t + self.config.shift * (1.0 - t))

    def _mode(self, u: Tensor) -> Tensor:
        return u + self.scale * ((0.5 * math.pi * u).cos().square() - 1.0 + u)

    def _density_before_shift(self, t: Tensor) -> Tensor:
        if self.config.name == "uniform":
            return torch.ones_like(t)
        if self.config.name == "logit_normal":
            normal = (torch.logit(t) + self.loc) / self.scale
            peak = 1.0 / (self.scale * math.sqrt(2.0 * math.pi))
            return peak * torch.exp(-0.5 * normal.square()) / (t * (1.0 - t))
        u = self._invert_mode(t)
        return 1.0 / (1.0 + self.scale * (1.0 - 0.5 * math.pi * (math.pi * u).sin()))

    def _invert_mode(self, t: Tensor) -> Tensor:
        """Invert the monotone mode map by bisection to float64 accuracy."""
        low, high = (
            torch.zeros_like(t, dtype=torch.float64),
            torch.ones_like(t, dtype=torch.float64),
        )
        for _ in range(53):
            middle = 0.5 * (low + high)
            below = self._mode(middle) < t
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (0.5 * (low + high)).to(t.dtype)


def sampling_times(config: SamplerConfig, time_sampler: TimeSampler) -> list[float]:
    """The times that a sampler goes through: a grid from 0 to 1, its later part at each restart.

    A time below the one before it is a restart: the way back there is fresh noise, no evaluation.

    Args:
        config: the sampler's grid, steps and restarts.
        time_sampler: the training distribution.

    Raises:
        ValueError: see `time_grid`.
    """
    times = time_grid(config.grid, config.num_steps, time_sampler)
    again = [config.restart_t, *(t for t in times if t > config.restart_t)]
    return times + config.restarts * again


def time_grid(name: GridName, num_steps: int, time_sampler: TimeSampler) -> list[float]:
    """Return num_steps + 1 increasing times with exact ends 0 and 1.

    Args:
        name: "uniform", or "quantile" for equal shares of the training distribution.
        num_steps: intervals, >= 1.
        time_sampler: the training distribution; a uniform grid does not read it.

    Raises:
        ValueError: if `num_steps` is below 1, the name is unknown, or the distribution is so
            narrow that neighbouring quantiles coincide.
    """
    check_choice("grid", name, GridName)
    if num_steps < 1:
        raise ValueError(f"num_steps must be >= 1, got {num_steps}")
    shares = torch.linspace(0.0, 1.0, num_steps + 1, dtype=torch.float64)
    times = shares if name == "uniform" else time_sampler.quantile(shares)
    if not bool((times.diff() > 0).all()):
        raise ValueError(f"the quantile grid of {num_steps} steps repeats a time; use uniform")
    return times.tolist()
