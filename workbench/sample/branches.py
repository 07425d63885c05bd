"""One prompt, one noise, one arm: a denoising run moment by moment, and what it might become.

A moment is a grid point: its state, the clean latent that the network predicts there, and the
decoder's reading of that latent. A branch follows the run up to a step, changes one thing, and
continues with the same network and self-conditioning. A branch without a change is the run itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from models.configs.flow import GuidanceConfig, SamplerConfig
from models.guidance import Guided
from models.samplers import SAMPLERS, renoise
from workbench.sample.generator import Generates, fresh_noise, renoising, starting_noise
from workbench.sample.trajectories import Trajectory

if TYPE_CHECKING:
    from workbench.sample.prompts import Prompts

BranchKind = Literal["nudge", "blend", "renoise", "guidance"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """One change to a run at a step.

    Attributes:
        step: grid point of the change, 1 to num_steps - 1.
        kind: `nudge` adds Gaussian noise of size `strength` (in latent standard deviations) to the
            target; `blend` moves the target by `strength` in [0, 1] along the sphere towards the
            same step of a run from another noise; `renoise` goes back to the grid point `back_to`
            with fresh noise; `guidance` continues at `guidance_scale`.
        strength: see `kind`.
        back_to: see `kind`, smaller than `step`.
        guidance_scale: see `kind`.
        seed: of the nudge, the other noise, the fresh noise.
    """

    step: int
    kind: BranchKind
    strength: float = 0.5
    back_to: int = 0
    guidance_scale: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.kind not in get_args(BranchKind):
            raise ValueError(
                f"kind must be one of {', '.join(get_args(BranchKind))}: {self.kind!r}"
            )
        if self.step < 1:
            raise ValueError(f"step must be >= 1, got {self.step}")
        if self.strength < 0 or (self.kind == "blend" and self.strength > 1):
            raise ValueError(f"strength must be >= 0, and <= 1 for a blend, got {self.strength}")
        if self.kind == "renoise" and not 0 <= self.back_to < self.step:
            raise ValueError(f"back_to must lie in [0, {self.step}), got {self.back_to}")

    def describe(self) -> str:
        """The change in words."""
        what = {
            "nudge": f"nudged by {self.strength:g} std (seed {self.seed})",
            "blend": f"blended {self.strength:.0%} with noise seed {self.seed}",
            "renoise": f"sent back to step {self.back_to} with fresh noise (seed {self.seed})",
            "guidance": f"guidance {self.guidance_scale:g} from here",
        }
        return f"at step {self.step}: {what[self.kind]}"


@torch.inference_mode()
def follow_prompt(
    generator: Generates,
    prompt: Prompts,
    sampler: SamplerConfig,
    guidance: GuidanceConfig,
    seed: int,
    branch: Branch | None = None,
) -> Trajectory:
    """Follow one prompt from noise to text, along a branch if one is given.

    Args:
        generator: of an arm.
        prompt: one prompt; the noise depends on its identity and the seed, so arms share it.
        sampler: solver, steps, grid, re-noising.
        guidance: scale and interval.
        seed: for the starting noise and the re-noising.
        branch: the change, if any.

    Raises:
        ValueError: there is more than one prompt, or the branch starts beyond the last step.
    """
    if len(prompt) != 1:
        raise ValueError(f"playback follows one prompt, got {len(prompt)}")
    run = _Run(generator, prompt, sampler, seed)
    if branch is None:
        moments = list(run.follow(run.noise(seed), run.times, guidance))
    else:
        moments = run.branched(guidance, branch)
    return _read(generator, moments, prompt)


class _Seen(NamedTuple):
    """A moment before the decoder has read it."""

    t: float
    z_t: Tensor
    z_hat: Tensor
    nfe: int


class _Run:
    """One prompt's velocity field; a branch keeps its self-conditioning."""

    def __init__(
        self, generator: Generates, prompt: Prompts, sampler: SamplerConfig, seed: int
    ) -> None:
        self.generator, self.sampler, self.seed = generator, sampler, seed
        self.prompt = prompt
        self.velocity, self.ctx_mask = generator.field(prompt)
        self.times = generator.times(sampler)

    def noise(self, seed: int) -> Tensor:
        """The starting noise (1, L + R, D) for a seed."""
        noise = starting_noise(self.generator, self.prompt, seed)
        return noise.to(self.generator.place.device)

    def follow(self, z_t: Tensor, times: list[float], guidance: GuidanceConfig) -> Iterator[_Seen]:
        """The moments along `times`; the last state is where the solver ends.

        Each time has the state before its fresh noise, if there is any, and the estimate after it.
        """
        solver = SAMPLERS[self.sampler.name]
        churn = renoising(self.generator, self.seed, int(self.prompt.identities[0]))
        starts = (start for start, end in pairwise(times) if start < end)
        steps = solver(Guided(self.velocity, guidance), z_t, times, self.sampler.churn, churn)
        for start, step in zip(starts, steps, strict=True):
            yield _Seen(start, z_t, step.z_hat, self.velocity.nfe)
            z_t = step.z_t
        yield _Seen(times[-1], z_t, z_t, self.velocity.nfe)

    def branched(self, guidance: GuidanceConfig, branch: Branch) -> list[_Seen]:
        """The run up to the branch, then the branch."""
        k = branch.step
        if k >= self.sampler.num_steps:
            raise ValueError(f"step must be < {self.sampler.num_steps}, got {k}")
        other = None
        if branch.kind == "blend":
            other = self._state_at(k, guidance, branch.seed)
        *before, (_, state, _, _) = self.follow(
            self.noise(self.seed), self.times[: k + 1], guidance
        )
        state, first = self._changed(state, other, branch)
        if branch.kind == "guidance":
            guidance = GuidanceConfig(guidance_scale=branch.guidance_scale)
        return [*before, *self.follow(state, self.times[first:], guidance)]

    def _state_at(self, k: int, guidance: GuidanceConfig, seed: int) -> Tensor:
        *_, there = self.follow(self.noise(seed), self.times[: k + 1], guidance)
        self.velocity.reset()
        return there.z_t

    def _changed(self, state: Tensor, other: Tensor | None, branch: Branch) -> tuple[Tensor, int]:
        """The state after the change, and its grid point."""
        fresh = fresh_noise(self.generator, branch.seed, "fork")
        target = ~self.ctx_mask.unsqueeze(-1)
        if branch.kind == "nudge":
            nudged = state + branch.strength * fresh(state)
            return torch.where(target, nudged, state), branch.step
        if other is not None:
            from analyses.spaces.manifold_continuity import slerp

            mixed = slerp(state.cpu().numpy(), other.cpu().numpy(), branch.strength)
            blended = torch.from_numpy(mixed.astype(np.float32)).to(state)
            return torch.where(target, blended, state), branch.step
        if branch.kind == "renoise":
            earlier = self.times[branch.back_to]
            return renoise(state, self.times[branch.step], earlier, fresh)[0], branch.back_to
        return state, branch.step


def _read(generator: Generates, moments: list[_Seen], prompt: Prompts) -> Trajectory:
    """Add the decoder's reading to each moment of a prompt, of which it reads the text's rows."""
    times, states, estimates, nfe = zip(*moments, strict=True)
    length, _ = generator.latent_shape
    z_t, z_hat = (torch.cat(part)[:, :length] for part in (states, estimates))
    # One at a time, as generation reads its last state: bf16 rounding depends on the batch's shape.
    read = [generator.read(one, prompt) for one in z_hat.split(1)]
    return Trajectory(
        t=np.array(times),
        nfe=np.array(nfe),
        z_t=z_t.float().cpu().numpy(),
        z_hat=z_hat.float().cpu().numpy(),
        token_ids=np.concatenate([one.token_ids for one in read]),
        entropy=np.concatenate([one.entropy for one in read]),
        margin=np.concatenate([one.margin for one in read]),
        cuts=np.asarray(prompt.cuts[0]),
        texts=[text for one in read for text in one.texts or ()] or None,
    )
