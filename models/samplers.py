"""ODE solvers along the flow from t = 0 (noise) to t = 1, as generators of steps.

A sampler knows a velocity field and a grid, nothing of networks. The last interval is always an
Euler step: a latent prediction's velocity is not defined at t = 1, and an Euler step from the last
grid point ends exactly on z_hat. The order is that of the interior, as one step of local error
O(h²) keeps a second-order method second-order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor

# Standard normal noise in the shape of a state, drawn anew by every call.
FreshNoise = Callable[["Tensor"], "Tensor"]


class VelocityField(Protocol):
    """A velocity of (z_t, t) that counts the network evaluations it has cost so far in `nfe`."""

    @property
    def nfe(self) -> int:
        """Network evaluations so far."""

    def __call__(self, z_t: Tensor, t: float) -> Tensor:
        """Return the velocity (B, L, D) at z_t (B, L, D) and t in [0, 1)."""


class CountedVelocity:
    """A plain function as a `VelocityField`, each call costing one evaluation."""

    def __init__(self, function: Callable[[Tensor, float], Tensor]) -> None:
        self.function = function
        self.nfe = 0

    def __call__(self, z_t: Tensor, t: float) -> Tensor:
        self.nfe += 1
        return self.function(z_t, t)


class SamplerStep(NamedTuple):
    """State after one interval.

    Attributes:
        step: 1 to the number of intervals, restarts included.
        t: the grid point reached; 1.0 at the last step.
        z_t: (B, L, D) the state there; the sample at the last step.
        z_hat: (B, L, D) estimate of the clean latent that the step started from.
        v: (B, L, D) velocity at the step's start.
        nfe: network evaluations so far in this run, guidance counted twice.
    """

    step: int
    t: float
    z_t: Tensor
    z_hat: Tensor
    v: Tensor
    nfe: int


def euler(
    velocity: VelocityField,
    noise: Tensor,
    times: list[float],
    churn: float = 0.0,
    fresh: FreshNoise | None = None,
) -> Iterator[SamplerStep]:
    """Integrate by Euler's method: order 1, one evaluation per step."""
    return integrate(_EulerRule(), velocity, noise, times, churn, fresh)


def heun(
    velocity: VelocityField,
    noise: Tensor,
    times: list[float],
    churn: float = 0.0,
    fresh: FreshNoise | None = None,
) -> Iterator[SamplerStep]:
    """Integrate by Heun's method: order 2, two evaluations per step but the last, which is Euler's.

    Source: Karras et al. 2022, arXiv 2206.00364, algorithm 1. See `integrate`.
    """
    return integrate(_HeunRule(), velocity, noise, times, churn, fresh)


def multistep(
    velocity: VelocityField,
    noise: Tensor,
    times: list[float],
    churn: float = 0.0,
    fresh: FreshNoise | None = None,
) -> Iterator[SamplerStep]:
    """Integrate by two-step Adams-Bashforth on the given grid: order 2, one evaluation per step.

    The first and the last step are Euler's, and so is the first after a restart. Source: Hairer,
    Norsett & Wanner 1993, section III.5 (variable step sizes). See `integrate`.
    """
    return integrate(_MultistepRule(), velocity, noise, times, churn, fresh)


class StepRule(Protocol):
    """Advances a state over one interval; made anew for each run, so it may keep a history."""

    def __call__(
        self, velocity: VelocityField, z_t: Tensor, v: Tensor, start: float, end: float
    ) -> Tensor:
        """Return the state at `end` from z_t and its velocity v at `start`."""


class _EulerRule:
    def __call__(
        self, velocity: VelocityField, z_t: Tensor, v: Tensor, start: float, end: float
    ) -> Tensor:
        return z_t + (end - start) * v


class _HeunRule:
    def __call__(
        self, velocity: VelocityField, z_t: Tensor, v: Tensor, start: float, end: float
    ) -> Tensor:
        ahead = z_t + (end - start) * v
        if end == 1.0:
            return ahead
        return z_t + 0.5 * (end - start) * (v + velocity(ahead, end))


class _MultistepRule:
    def __init__(self) -> None:
        self.last: tuple[float, Tensor] | None = None

    def __call__(
        self, velocity: VelocityField, z_t: Tensor, v: Tensor, start: float, end: float
    ) -> Tensor:
        length, last, self.last = end - start, self.last, (start, v)
        if last is None or last[0] >= start or end == 1.0:
            return z_t + length * v
        slope = (v - last[1]) / (start - last[0])
        return z_t + length * v + 0.5 * length**2 * slope


def integrate(
    rule: StepRule,
    velocity: VelocityField,
    noise: Tensor,
    times: list[float],
    churn: float = 0.0,
    fresh: FreshNoise | None = None,
) -> Iterator[SamplerStep]:
    """Run a step rule along a grid.

    Args:
        rule: the method.
        velocity: the field.
        noise: (B, L, D) state at times[0]; not changed.
        times: grid from 0 to 1; from 1 it may go back, which restarts, see `sampling_times`.
        churn: see `SamplerConfig`.
        fresh: the noise of churn and restarts.

    Yields:
        One `SamplerStep` per interval that goes forward.

    Raises:
        ValueError: if noise is to be drawn and `fresh` is None, or the grid stands still or goes
            back before it has come to 1.
    """
    intervals = list(pairwise(times))
    if not intervals or any(b == a or (b < a and a != 1.0) for a, b in intervals):
        raise ValueError("times must have at least 2 points, increase, and go back from 1 only")
    if fresh is None and (churn > 0 or any(b < a for a, b in intervals)):
        raise ValueError("churn > 0 and restarts need fresh noise")
    z_t, before, step = noise, velocity.nfe, 0
    for start, end in intervals:
        if end < start:
            assert fresh is not None
            z_t, _ = renoise(z_t, start, end, fresh)
            continue
        step += 1
        if fresh is not None and churn > 0:
            z_t, start = renoise(z_t, start, start - churn * (end - start), fresh)
        v = velocity(z_t, start)
        z_hat = z_t + (1.0 - start) * v
        z_t = rule(velocity, z_t, v, start, end)
        yield SamplerStep(step, end, z_t, z_hat, v, velocity.nfe - before)


def renoise(z_t: Tensor, t: float, earlier: float, fresh: FreshNoise) -> tuple[Tensor, float]:
    """Go from t back to max(earlier, 0) with fresh noise, keeping the law of z_t.

    z_t = (1 - t) noise + t z is scaled so that z has its earlier weight, and independent noise
    fills the variance up to (1 - earlier)². At t = 0 nothing is left to replace.

    Returns:
        The new state and its time.
    """
    earlier = max(earlier, 0.0)
    if t <= 0.0:
        return z_t, t
    kept = earlier / t
    size = math.sqrt(max((1.0 - earlier) ** 2 - (kept * (1.0 - t)) ** 2, 0.0))
    return kept * z_t + size * fresh(z_t), earlier


# The one list of samplers: settings, command line and pages take their names from here.
SAMPLERS = {"euler": euler, "heun": heun, "multistep": multistep}
