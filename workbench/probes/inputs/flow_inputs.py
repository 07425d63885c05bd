"""What a run's flow does with held-out texts: sampled paths, estimates of z, hidden states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.flow import path, to_estimate, with_vector
from models.guidance import Guided
from models.samplers import SAMPLERS
from workbench.errors import InputError
from workbench.machine.devices import autocast
from workbench.machine.seeds import step_generator
from workbench.sample.generator import (
    Generator,
    load_generator,
    renoising,
    sample_steps,
    starting_noise,
)
from workbench.sample.held_out import first_prompts, scale_name
from workbench.sample.prompts import Prompts, held_out_prompts
from workbench.sample.references import References, open_references
from workbench.sample.trajectories import Trajectory, read_trajectory

if TYPE_CHECKING:
    from torch import Tensor

    from models.configs.flow import SamplerConfig
    from models.samplers import SamplerStep
    from workbench.probes.inputs.run_inputs import RunInputs

SAMPLED_PROMPTS = 256
DENOISED_TEXTS = 128
SHOWN_STEPS = 8
HALF = 0.5  # the time at which a latent is half noise


@dataclass(frozen=True)
class SampledPaths:
    """Prompts continued by the run's own sampler, recorded at a few steps.

    Attributes:
        rows: (N,) rows of the test split that the prompts come from.
        t: (S,) times reached.
        z_hat: (S, N, L, D) float32 estimates of the clean latent.
        end: (N, L, D) float32 latents at the ODE's end, context included.
        cuts: (N,) context lengths.
        token_ids: (N, L) int64, the decoder's reading of `end`.
        written: (N, L) bool, target positions before the first generated end-of-text.
    """

    rows: np.ndarray
    t: np.ndarray
    z_hat: np.ndarray
    end: np.ndarray
    cuts: np.ndarray
    token_ids: np.ndarray
    written: np.ndarray


@dataclass(frozen=True)
class Denoised:
    """One evaluation of the flow on true latents, noised to time t.

    Attributes:
        z_t: (T, L, D) float32, the flow's input at target positions.
        z_hat: (T, L, D) float32, its estimate.
        hidden: one (T, L, W) float32 array per block.
    """

    z_t: np.ndarray
    z_hat: np.ndarray
    hidden: list[np.ndarray]


class FlowInputs:
    """Arrays that need the run's flow, each made once."""

    def __init__(self, inputs: RunInputs) -> None:
        self._inputs = inputs

    @cached_property
    def generator(self) -> Generator:
        """The run's VAE and flow."""
        inputs = self._inputs
        return load_generator(inputs.run, inputs.place)

    @cached_property
    def references(self) -> References:
        """The study's held-out prompts and their human continuations."""
        return open_references(self._inputs.run.study.references_dir)

    @cached_property
    def sampled(self) -> SampledPaths:
        """Up to 256 held-out prompts, continued from the same noise as the run's samples."""
        prompts = first_prompts(self._prompts(), SAMPLED_PROMPTS)
        num_steps = self._inputs.run.config.sampling.sampler.num_steps
        shown = np.unique(np.linspace(1, num_steps, min(SHOWN_STEPS, num_steps)).round())
        times: list[float] = []
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        batch_size = self._inputs.run.config.sampling.batch_size
        for start in range(0, len(prompts), batch_size):
            times, z_hat, end = self._sample(prompts, slice(start, start + batch_size), shown)
            parts.append((z_hat, end))
        end = np.concatenate([end for _, end in parts])
        token_ids = self._inputs.decode_ids(end)
        return SampledPaths(
            rows=prompts.identities,
            t=np.array(times),
            z_hat=np.concatenate([z_hat for z_hat, _ in parts], axis=1),
            end=end,
            cuts=prompts.cuts,
            token_ids=token_ids,
            written=self.written(token_ids, prompts.cuts),
        )

    def written(self, token_ids: np.ndarray, cuts: np.ndarray) -> np.ndarray:
        """(B, L) bool, positions from the cut up to the first end-of-text after it."""
        target = np.arange(token_ids.shape[1]) >= cuts[:, None]
        stopped = np.cumsum(target & (token_ids == self._inputs.corpus.tokenizer.eot_id), axis=1)
        return target & (stopped == 0)

    def _prompts(self) -> Prompts:
        references, inputs = self.references, self._inputs
        return held_out_prompts(
            inputs.corpus,
            references.indices,
            references.cuts,
            references.prompts,
            joint=inputs.run.config.context.joint,
        )

    def _sample(
        self, prompts: Prompts, rows: slice, shown: np.ndarray
    ) -> tuple[list[float], np.ndarray, np.ndarray]:
        _, steps = self._steps(prompts, rows, self._inputs.run.config.sampling.sampler)
        times, estimates, last = [], [], None
        for last in steps:
            if last.step in shown:
                times.append(last.t)
                estimates.append(_array(last.z_hat))
        assert last is not None
        return times, np.stack(estimates), _array(last.z_t)

    def _steps(
        self, prompts: Prompts, rows: slice, sampler: SamplerConfig
    ) -> tuple[Tensor, Iterator[SamplerStep]]:
        """The starting noise of prompts, and a sampler's steps from it."""
        inputs, sampling = self._inputs, self._inputs.run.config.sampling
        own, length = prompts.part(rows), self.generator.latent_shape[0]
        noise = starting_noise(self.generator, own, inputs.run.seed)
        steps = sample_steps(
            self.generator,
            own,
            noise,
            sampler,
            sampling.guidance(sampling.guidance_scales[0]),
            inputs.run.seed,
        )
        return noise[:, :length], steps

    @cached_property
    def ode_path(self) -> tuple[np.ndarray, np.ndarray]:
        """The traced prompts' path by the run's sampler, without re-noising and restarts.

        With fresh noise, a stored trajectory would show mostly that noise.

        Returns:
            Times (S + 1,) and states (S + 1, B, L, D) float32.
        """
        prompts = first_prompts(self._prompts(), self._inputs.run.config.sampling.num_traces)
        sampler = replace(self._inputs.run.config.sampling.sampler, churn=0.0, restarts=0)
        noise, steps = self._steps(prompts, slice(0, len(prompts)), sampler)
        times, states = [0.0], [_array(noise)]
        for step in steps:
            times.append(step.t)
            states.append(_array(step.z_t))
        return np.array(times), np.stack(states)

    @cached_property
    def half_noised(self) -> Denoised:
        """`denoised` half way, shared by several probes."""
        return self.denoised(HALF)

    @torch.inference_mode()
    def denoised(self, t: float) -> Denoised:
        """The flow's output for the first 128 probed texts, noised to time t, given their context.

        One evaluation, without self-conditioning.
        """
        inputs, generator = self._inputs, self.generator
        count = min(DENOISED_TEXTS, len(inputs.rows))
        mu = torch.from_numpy(inputs.normalised_mu[:count])
        z, device, length = self._states(slice(0, count)), inputs.place.device, mu.shape[1]
        draw = step_generator(torch.device("cpu"), inputs.config.seed, "denoised")
        parts = (z[:, :length], z[:, length:])
        noise = torch.cat([torch.randn(part.shape, generator=draw) for part in parts], dim=1)
        times = torch.full((count,), t)
        z_t = path(z, noise, times)
        ctx_mask = torch.from_numpy(~inputs.is_target[:count])
        if generator.extra_rows:
            mu, ctx_mask = with_vector(mu, ctx_mask)
        with autocast(inputs.place, "auto"):
            found = generator.dit(
                z_t.to(device),
                times.to(device),
                mu.to(device),
                ctx_mask.to(device),
                return_hidden=True,
            )
        z_hat = to_estimate(found.out.float().cpu(), z_t, times, generator.flow.prediction)
        z_hat = torch.where(ctx_mask[..., None], mu, z_hat)
        return Denoised(
            z_t[:, :length].numpy(),
            z_hat[:, :length].numpy(),
            [_array(states[:, :length]) for states in found.hidden],
        )

    def _states(self, texts: slice) -> Tensor:
        """(B, L + R, D) true states of some probed texts; a vector that a text lacks is zero."""
        z = torch.from_numpy(self._inputs.normalised_z[texts])
        if not self.generator.extra_rows:
            return z
        rows = self._inputs.rows[texts]
        vectors = self._inputs.latents.gather_vectors(rows, np.zeros_like(rows))
        assert vectors is not None
        return torch.cat((z, vectors.nan_to_num().unsqueeze(1)), dim=1)

    @cached_property
    def finished(self) -> np.ndarray:
        """(B, L, D) float32: the first 256 probed texts, half noised, where the run's flow ends.

        The run's own sampler from t = 1/2 on, without restarts; every arm starts from the same
        noise. The word that was meant is known at each place, which is not so from pure noise.
        """
        inputs, run = self._inputs, self._inputs.run
        rows, cuts = inputs.rows[:SAMPLED_PROMPTS], inputs.cuts[:SAMPLED_PROMPTS]
        texts = inputs.split.texts(rows)
        joint = run.config.context.joint
        prompts = held_out_prompts(inputs.corpus, rows, cuts, texts, joint=joint)
        size = run.config.sampling.batch_size
        starts = range(0, len(rows), size)
        return np.concatenate([self._finish(prompts, slice(s, s + size)) for s in starts])

    def _finish(self, prompts: Prompts, rows: slice) -> np.ndarray:
        sampling, seed = self._inputs.run.config.sampling, self._inputs.run.seed
        sampler = replace(sampling.sampler, restarts=0)
        z = self._states(slice(rows.start, min(rows.stop, len(prompts))))
        own, length = prompts.part(rows), self.generator.latent_shape[0]
        noise = starting_noise(self.generator, own, seed)
        *_, last = SAMPLERS[sampler.name](
            Guided(
                self.generator.field(own)[0],
                sampling.guidance(sampling.guidance_scales[0]),
            ),
            path(z, noise, torch.full((len(z),), HALF)).to(self.generator.place.device),
            [HALF, *(t for t in self.generator.times(sampler) if t > HALF)],
            sampler.churn,
            renoising(self.generator, seed),
        )
        return _array(last.z_t[:, :length])

    @cached_property
    def trajectory(self) -> Trajectory:
        """The trajectory stored with the run's samples at its first guidance scale.

        Raises:
            InputError: the run has not been sampled, or stores no trajectory.
        """
        run = self._inputs.run
        file = run.trajectories_dir / (
            f"{scale_name(run.config.sampling.guidance_scales[0])}.safetensors"
        )
        if not file.is_file():
            raise InputError(
                f"{file}: no trajectory; run `evaluate` first, with sampling.num_traces > 0"
            )
        return read_trajectory(file)[0]


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()
