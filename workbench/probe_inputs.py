"""What probes look at: arrays of one run, made once, on held-out texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.time_samplers import TimeSampler
from workbench.devices import autocast
from workbench.generate import Generator, load_generator
from workbench.latents import Latents, open_latents
from workbench.texts import load_texts

if TYPE_CHECKING:
    from data.corpus_store import Corpus, Split
    from workbench.devices import Placement
    from workbench.runs import Run

READ_BATCH = 128
TIME_POINTS = 512


@dataclass(frozen=True)
class TokenTable:
    """Real tokens of held-out texts, one a row, context and target encoded apart.

    Attributes:
        mu: (N, D) posterior means in the encoder's units.
        logvar: (N, D) ln sigma^2 in the encoder's units.
        z: (N, D) one posterior sample each, as the flow sees it (normalised).
        token_ids: (N,) int64.
        texts: (N,) int64, the text each token belongs to.
        positions: (N,) int64, its place in the text.
        is_target: (N,) bool, whether it stands after the cut.
        embeddings: (N, W) the VAE's own token embeddings: what a token says without its context.
        labels: label set -> (N,) int64, -1 = missing.
    """

    mu: np.ndarray
    logvar: np.ndarray
    z: np.ndarray
    token_ids: np.ndarray
    texts: np.ndarray
    positions: np.ndarray
    is_target: np.ndarray
    embeddings: np.ndarray
    labels: dict[str, np.ndarray]


class ProbeInputs:
    """Lazily made arrays of a run; every probe shares them.

    Args:
        run: a run whose VAE and latents are done.
        corpus: its corpus.
        place: where models run.
    """

    def __init__(self, run: Run, corpus: Corpus, place: Placement) -> None:
        self.run, self.corpus, self.place = run, corpus, place
        self.config = run.study.config.base.evaluation
        self.split: Split = corpus.split("test")
        self.rows = np.arange(min(self.config.probe_texts, len(self.split)))
        self.latents: Latents = open_latents(run.latents_dir, "test")

    @cached_property
    def generator(self) -> Generator:
        """The run's VAE and flow."""
        return load_generator(self.run, self.corpus, self.place)

    @cached_property
    def mask(self) -> np.ndarray:
        """(T, L) bool, real tokens of the probed texts."""
        return self.split.padded(self.rows)[1]

    @cached_property
    def normalised_mu(self) -> np.ndarray:
        """(T, L, D) float32 posterior means as the flow sees them."""
        return np.asarray(self.latents.mu[self.rows, 0], np.float32)

    @cached_property
    def normalised_std(self) -> np.ndarray:
        """(T, L, D) float32 posterior standard deviations as the flow sees them."""
        return np.asarray(self.latents.std[self.rows, 0], np.float32)

    @cached_property
    def normalised_z(self) -> np.ndarray:
        """(T, L, D) float32, one posterior sample of each text."""
        return self.latents.sample(self.rows, self.config.seed)

    @cached_property
    def cuts(self) -> np.ndarray:
        """(T,) context lengths."""
        return self.latents.cuts[self.rows, 0]

    @cached_property
    def tokens(self) -> TokenTable:
        """Up to `probe_tokens` real tokens of whole texts, the first texts first."""
        lengths = np.asarray(self.split.lengths[self.rows], np.int64)
        count = max(1, int(np.searchsorted(np.cumsum(lengths), self.config.probe_tokens, "right")))
        return self._token_table(self.rows[:count])

    def _token_table(self, rows: np.ndarray) -> TokenTable:
        vae = self.generator.vae
        token_ids, mask = self.split.padded(rows)
        where = np.nonzero(mask)
        std = vae.latent_std.cpu().numpy()
        mean = vae.latent_mean.cpu().numpy()
        n = len(rows)
        labels = {
            name: self.split.padded_token_labels(name, rows)[where]
            for name in self.corpus.token_label_names
        }
        ids = token_ids[where]
        embedding = vae.token_embedding.weight.detach().float().cpu().numpy()
        return TokenTable(
            mu=self.normalised_mu[:n][where] * std + mean,
            logvar=2 * np.log(self.normalised_std[:n][where] * std),
            z=self.normalised_z[:n][where],
            token_ids=ids,
            texts=where[0],
            positions=where[1],
            is_target=where[1] >= self.cuts[:n][where[0]],
            embeddings=embedding[ids],
            labels=labels,
        )

    @cached_property
    def text_features(self) -> np.ndarray:
        """(T, D) mean over real tokens of each text's normalised `mu`."""
        weights = self.mask[..., None].astype(np.float32)
        total = (self.normalised_mu * weights).sum(1)
        return total / np.maximum(weights.sum(1), 1)

    @cached_property
    def text_baseline(self) -> np.ndarray:
        """(T, W) mean token embedding of each text: a bag of words."""
        embedding = self.generator.vae.token_embedding.weight.detach().float().cpu().numpy()
        token_ids, mask = self.split.padded(self.rows)
        weights = mask[..., None].astype(np.float32)
        return (embedding[token_ids] * weights).sum(1) / np.maximum(weights.sum(1), 1)

    @cached_property
    def text_labels(self) -> dict[str, np.ndarray]:
        """label set -> (T,) int64, -1 = missing."""
        return {name: np.asarray(v)[self.rows] for name, v in self.split.labels.items()}

    @cached_property
    def times(self) -> np.ndarray:
        """(512,) quantile midpoints of the flow's training times."""
        shares = (torch.arange(TIME_POINTS, dtype=torch.float64) + 0.5) / TIME_POINTS
        return TimeSampler(self.run.config.flow.time).quantile(shares).numpy()

    @torch.inference_mode()
    def read(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode normalised latents (T, L, D) of the probed texts.

        Returns:
            (T, L) int64 token ids, and (T, L) nats of the true token.
        """
        vae = self.generator.vae
        read_ids, nats = [], []
        for start in range(0, len(z), READ_BATCH):
            part = slice(start, start + READ_BATCH)
            rows = self.rows[part]
            batch = load_texts(self.split, rows, self.corpus.window, self.cuts[part])
            with autocast(self.place, "auto"):
                logits = vae.decode_normalised(torch.from_numpy(z[part]).to(self.place.device))
            log_probs = logits.float().log_softmax(-1).cpu()
            read_ids.append(log_probs.argmax(-1))
            nats.append(-_gathered(log_probs, batch.token_ids))
        return torch.cat(read_ids).numpy(), torch.cat(nats).numpy()


def _gathered(log_probs: Tensor, token_ids: Tensor) -> Tensor:
    return log_probs.gather(-1, token_ids[..., None]).squeeze(-1)
