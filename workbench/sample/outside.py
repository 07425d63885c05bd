"""A generator from outside: an adapter's velocity field under our samplers, read by its decoder.

The state moves from standard normal noise to a latent that the adapter's `decode` reads. What it
reads is the continuation; the study's tokens of that text are kept beside it, as scores need them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.guidance import Guidable
from models.time_samplers import TimeSampler, sampling_times
from workbench.errors import InputError, NoGeneratorError
from workbench.machine.devices import Placement, find_placement
from workbench.sample.generator import Generates, Reading, load_generator
from workbench.train.adapters import CONTENT, own_latents

if TYPE_CHECKING:
    from models.configs.flow import SamplerConfig
    from workbench.sample.prompts import Prompts
    from workbench.study.folders import Run
    from workbench.train.adapters import Adapter


class OutsideVelocity:
    """An adapter's velocity field for fixed prompts, with and without them."""

    def __init__(self, adapter: Adapter, prompts: Sequence[str]) -> None:
        self._adapter, self._prompts = adapter, list(prompts)
        self.nfe = 0

    def reset(self) -> None:
        """Forget the count of evaluations."""
        self.nfe = 0

    def single(self, z_t: Tensor, t: float, *, drop: bool) -> Tensor:
        """The velocity given the prompts, or given none; one evaluation."""
        self.nfe += 1
        state = z_t.float().cpu().numpy()
        found = self._adapter.velocity(state, t, None if drop else self._prompts)
        return torch.from_numpy(found).to(z_t)

    def both(self, z_t: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """The velocities with and without the prompts; two evaluations."""
        return self.single(z_t, t, drop=False), self.single(z_t, t, drop=True)


@dataclass(frozen=True, slots=True)
class OutsideGenerator:
    """An arm's adapter as a generator; states are the adapter's own latents, as it encodes them.

    Attributes:
        adapter: the one that encoded the arm; it has `velocity` and `decode`.
        run: the arm.
        place: the CPU, where an adapter gets its arrays.
    """

    adapter: Adapter
    run: Run
    place: Placement

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(P, D) of a state."""
        return self.adapter.latent_shape

    @property
    def extra_rows(self) -> int:
        """None: an adapter's state is what it decodes."""
        return 0

    @property
    def real(self) -> np.ndarray:
        """(N, D) latents that the adapter gave real tokens."""
        bundle = own_latents(self.run)
        assert bundle.mask is not None
        return bundle.z[bundle.mask][: self.run.study.config.base.evaluation.probe_tokens]

    def times(self, sampler: SamplerConfig) -> list[float]:
        """The grid that the study's own flows have."""
        return sampling_times(sampler, TimeSampler(self.run.config.flow.time))

    def field(self, prompts: Prompts) -> tuple[Guidable, Tensor]:
        """The adapter's velocity given the prompts; no latent is theirs."""
        shape = (len(prompts), self.latent_shape[0])
        return OutsideVelocity(self.adapter, prompts.texts), torch.zeros(shape, dtype=torch.bool)

    def read(self, z: Tensor, prompts: Prompts) -> Reading:
        """The study's tokens of what `decode` reads, behind each prompt, and the texts themselves.

        A text that is longer than the study's window leaves is cut there, as ours are.
        """
        state = z.float().cpu().numpy()
        texts = self.adapter.decode(state, np.ones(state.shape[:2], bool))
        tokenizer, cuts = self.run.study.corpus.tokenizer, prompts.cuts[:, None]
        ids = np.where(
            np.arange(prompts.token_ids.shape[1]) < cuts, prompts.token_ids, tokenizer.eot_id
        )
        for row, encoded in enumerate(tokenizer.encode_batch(texts)):
            own = encoded.token_ids[: ids.shape[1] - prompts.cuts[row]]
            ids[row, prompts.cuts[row] :][: len(own)] = own
        unknown = np.full(ids.shape, np.nan, np.float32)
        return Reading(token_ids=ids, entropy=unknown, margin=unknown, texts=texts)


def open_generator(run: Run, place: Placement, adapter: Adapter | None = None) -> Generates:
    """Whatever writes for an arm: its trained pair, or the adapter that encoded it.

    Args:
        run: the arm.
        place: device of a trained pair.
        adapter: the arm's own, if the user named it.

    Raises:
        NoGeneratorError: the arm came from a bundle without an adapter, or nobody named that.
        InputError: the arm is not trained yet, or its adapter lacks `velocity`, `latent_shape` or
            `decode`.
    """
    if run.imported is None:
        return load_generator(run, place)
    known = run.imported.get("provenance", {})
    if CONTENT not in known:
        raise NoGeneratorError(
            f"{run.name} came from a latent bundle of points alone: nothing generates there. Look "
            "at it on Geometry, the Latent map, Neighbours or Separability"
        )
    if adapter is None:
        raise NoGeneratorError(
            f"{run.name} came from a latent bundle and has no generator of ours. Its adapter, "
            f"{known['adapter']}, runs only where you name it: `sample` or `app` with --adapter "
            "FILE"
        )
    for name, arguments in (("velocity", "z_t, t, prompts"), ("decode", "z, mask")):
        if not adapter.can(name):
            raise InputError(
                f"--adapter {adapter.source}: cannot generate, it has no {name}({arguments})"
            )
    found = OutsideGenerator(adapter, run, find_placement("cpu"))
    assert found.latent_shape
    return found
