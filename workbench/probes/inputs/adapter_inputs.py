"""Inputs of probes that decode, for an arm that an adapter encoded.

The latents are the outside model's own, on its own tokens, as it encoded them: what other probes
read was averaged onto the study's tokens and could not be decoded. They are normalised per channel.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from workbench.probes.inputs.probe_inputs import ProbeInputs
from workbench.train.adapters import own_latents

if TYPE_CHECKING:
    from workbench.machine.devices import Placement
    from workbench.study.folders import Run
    from workbench.train.adapters import Adapter


class AdapterInputs(ProbeInputs):
    """The arrays that decoding probes read; decoding takes the first texts, in their order.

    Args:
        run: an arm made by `encode`.
        place: device of our own models.
        adapter: the adapter that encoded it.

    Raises:
        InputError: the arm's bundle is not the one that was imported.
    """

    def __init__(self, run: Run, place: Placement, adapter: Adapter) -> None:
        super().__init__(run, place)
        self._adapter = adapter
        bundle = own_latents(run)
        assert bundle.mask is not None
        self._z, self._std = bundle.z[self.rows], None
        if bundle.std is not None:
            self._std = bundle.std[self.rows]
        self._mask = bundle.mask[self.rows]

    @cached_property
    def mask(self) -> np.ndarray:
        """(T, L) bool, real tokens of the outside model."""
        return self._mask

    @cached_property
    def scale(self) -> tuple[np.ndarray, np.ndarray]:
        """(D,) mean and standard deviation of the real tokens' latents."""
        real = self._z[self._mask].astype(np.float64)
        deviation = real.std(axis=0)
        mean, deviation = real.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
        return mean.astype(np.float32), deviation.astype(np.float32)

    @cached_property
    def normalised_mu(self) -> np.ndarray:
        """(T, L, D) float32, zero where there is no token."""
        mean, deviation = self.scale
        return np.where(self._mask[..., None], (self._z - mean) / deviation, 0).astype(np.float32)

    @cached_property
    def posterior_sample(self) -> np.ndarray:
        """(T, L, D) float32, one normalised posterior sample; the point of a model without any."""
        if self._std is None:
            return self.normalised_mu
        noise = np.random.default_rng(self.config.seed).standard_normal(self._z.shape, np.float32)
        return self.normalised_mu + self._std / self.scale[1] * noise

    @property
    def texts_at_once(self) -> int:
        """All: a decoder gets latents with their mask, which goes by the texts' order."""
        return len(self.rows)

    read_batch = texts_at_once

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Logits (B, L, V) float32 of normalised latents (B, L, D) of the first B texts."""
        return self._adapter.logits(*self._raw(z))

    def decode_texts(self, z: np.ndarray) -> list[str]:
        """Texts of normalised latents (B, L, D) of the first B texts."""
        return self._adapter.decode(*self._raw(z))

    def _raw(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, deviation = self.scale
        mask = self._mask[: len(z)]
        return np.where(mask[..., None], z * deviation + mean, 0).astype(np.float32), mask

    def read(self, z: np.ndarray) -> tuple[np.ndarray, None]:
        """Decode normalised latents of the probed texts into the study's tokens.

        Returns:
            (T, L) int64 ids of the tokens of the decoded texts, without nats: the model's own
            tokens are not the study's.
        """
        ids = np.full_like(self.padded_ids, self.corpus.tokenizer.eot_id)
        for row, encoded in enumerate(self.corpus.tokenizer.encode_batch(self.decode_texts(z))):
            own = encoded.token_ids[: ids.shape[1]]
            ids[row, : len(own)] = own
        return ids, None
