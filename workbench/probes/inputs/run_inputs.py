"""The inputs of probes: arrays of one run on held-out texts, each made once.

Latents are normalised per channel, as the flow sees them, unless a name says otherwise. `z` is what
the flow learns: a posterior sample or, if the flow learns means, the mean. Context and target of a
text are encoded separately, as in the flow.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.time_samplers import TimeSampler
from workbench.errors import InputError
from workbench.machine.devices import autocast
from workbench.probes.inputs.sentences import sentence_numbers
from workbench.probes.inputs.tables import ContextTable, SentenceTable, TokenTable
from workbench.store.tensors import load_tensors
from workbench.study.bundle_labels import OwnLabel, read_labels
from workbench.train.bundle_arms import ENCODED, SCALE
from workbench.train.latents import Latents, held_out_latents, open_latents
from workbench.train.texts import load_texts
from workbench.train.vae import load_vae

if TYPE_CHECKING:
    from analyses.statistics.half_samples import HalfSampleConfig
    from analyses.statistics.intervals import BootstrapConfig
    from data.corpus_store import Split
    from models.text_vae import TextVAE
    from workbench.machine.devices import Placement
    from workbench.study.folders import Run

READ_BATCH = 128
LOGIT_ELEMENTS = 1 << 26  # logits of one batch: 256 MiB
TIME_POINTS = 512
DECODED_TEXTS = 64


class RunInputs:
    """Arrays of a run's space, made on first use.

    Args:
        run: a run whose VAE and latents are done.
        place: device that models run on.
        vae: the run's VAE with other weights than the trained ones, normalised; its latents are
            computed on the spot.

        Raises:
            InputError: the run has no latents yet, or the test split is empty.
    """

    def __init__(self, run: Run, place: Placement, vae: TextVAE | None = None) -> None:
        corpus = run.study.corpus
        self.run, self.corpus, self.place = run, corpus, place
        self.config = run.study.config.base.evaluation
        self.split: Split = corpus.split("test")
        if not len(self.split):
            raise InputError(f"{corpus.directory}: the test split is empty; nothing to probe")
        if vae is None and not (run.latents_dir / "test-mu.npy").is_file():
            raise InputError(f"{run.latents_dir}: no latents yet; run `train-flow` first")
        self.rows = np.arange(min(self.config.probe_texts, len(self.split)))
        self._vae = vae

    @cached_property
    def latents(self) -> Latents:
        """Posteriors of the probed texts, possibly of more."""
        if self._vae is None:
            return open_latents(self.run.latents_dir, "test")
        context = self.run.config.context
        return held_out_latents(self._vae, self.split, len(self.rows), context, self.place)

    @cached_property
    def vae(self) -> TextVAE:
        """The VAE whose latents are probed."""
        return self._vae or load_vae(self.run, self.place)

    @property
    def per_token(self) -> bool:
        """Whether every token has a latent; a bundle may have one per text instead."""
        return self.run.imported is None or bool(self.run.imported["per_token"])

    @property
    def has_spread(self) -> bool:
        """Whether a latent is a distribution; a bundle may have only points."""
        return self.run.imported is None or bool(self.run.imported["has_spread"])

    @cached_property
    def scale(self) -> tuple[np.ndarray, np.ndarray]:
        """(D,) mean and standard deviation that undo the normalisation."""
        if self.run.imported is not None:
            return self._imported["mean"].numpy(), self._imported["std"].numpy()
        return self.vae.latent_mean.cpu().numpy(), self.vae.latent_std.cpu().numpy()

    @cached_property
    def _imported(self) -> dict[str, Tensor]:
        return load_tensors(self.run.latents_dir / SCALE)

    @cached_property
    def bootstrap(self) -> BootstrapConfig:
        """Number of resamples and seed for every interval."""
        from analyses.statistics.intervals import BootstrapConfig

        return BootstrapConfig(num_resamples=self.config.num_resamples, seed=self.config.seed)

    @cached_property
    def half_samples(self) -> HalfSampleConfig:
        """Half-sample settings, for intervals that duplicated points would spoil."""
        from analyses.statistics.half_samples import HalfSampleConfig

        return HalfSampleConfig(seed=self.config.seed)

    @property
    def texts_at_once(self) -> int:
        """Number of texts that a probe interpolates and decodes together."""
        return DECODED_TEXTS

    @cached_property
    def padded_ids(self) -> np.ndarray:
        """(T, L) int64 token ids of the probed texts, padded with end-of-text."""
        return self.split.padded(self.rows)[0]

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
    def posterior_sample(self) -> np.ndarray:
        """(T, L, D) float32, one normalised posterior sample of each text."""
        return self.latents.sample(self.rows, self.config.seed)

    @property
    def learns_means(self) -> bool:
        """Whether the flow's targets are posterior means."""
        return self.run.config.flow.latent_target == "mean"

    @cached_property
    def normalised_z(self) -> np.ndarray:
        """(T, L, D) float32, what the flow learns: posterior samples or means."""
        return self.normalised_mu if self.learns_means else self.posterior_sample

    @cached_property
    def cuts(self) -> np.ndarray:
        """(T,) context lengths."""
        return self.latents.cuts[self.rows, 0]

    @cached_property
    def is_target(self) -> np.ndarray:
        """(T, L) bool, positions after the cut, including end-of-text padding."""
        after = np.arange(self.mask.shape[1]) >= self.cuts[:, None]
        bundle = self.run.imported
        if bundle is not None and bundle.get("padding") != ENCODED:
            return after & self.mask
        return after

    @cached_property
    def token_texts(self) -> np.ndarray:
        """(n,) the first probed texts, together at most `probe_tokens` tokens long."""
        lengths = np.asarray(self.split.lengths[self.rows], np.int64)
        count = int(np.searchsorted(np.cumsum(lengths), self.config.probe_tokens, "right"))
        return self.rows[: max(1, count)]

    @cached_property
    def token_places(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of `token_texts` and positions of their real tokens, (N,) int64 each."""
        texts, positions = np.nonzero(self.mask[: len(self.token_texts)])
        return texts, positions

    @cached_property
    def token_labels(self) -> dict[str, np.ndarray]:
        """label set -> (N,) int64 labels of these tokens, -1 = missing."""
        return {
            name: self.split.padded_token_labels(name, self.token_texts)[self.token_places]
            for name in (self.corpus.token_label_names if self.per_token else ())
        }

    @cached_property
    def tokens(self) -> TokenTable:
        """Real tokens of `token_texts`."""
        n, where = len(self.token_texts), self.token_places
        mean, std = self.scale
        ids = self.padded_ids[:n][where]
        with np.errstate(divide="ignore"):  # points without a spread: minus infinity
            logvar = 2 * np.log(self.normalised_std[:n][where] * std)
        return TokenTable(
            mu=self.normalised_mu[:n][where] * std + mean,
            normalised_mu=self.normalised_mu[:n][where],
            logvar=logvar,
            z=self.normalised_z[:n][where],
            token_ids=ids,
            texts=where[0],
            positions=where[1],
            is_target=self.is_target[:n][where],
            embeddings=None if self.embedding is None else self.embedding[ids],
            labels=self.token_labels,
        )

    @cached_property
    def embedding(self) -> np.ndarray | None:
        """(V, W) float32, the VAE's token embeddings; None for a bundle that gives none."""
        if self.run.imported is not None:
            found = self._imported.get("token_embedding")
            return None if found is None else found.numpy()
        return self.vae.token_embedding.weight.detach().float().cpu().numpy()

    @cached_property
    def sentences(self) -> np.ndarray:
        """(T, L) int64, number of the sentence within its text; -1 at padding."""
        pieces = self.corpus.tokenizer.decode_tokens(np.arange(self.corpus.vocab_size))
        return sentence_numbers(self.padded_ids, self.mask, pieces)

    @cached_property
    def sentence_table(self) -> SentenceTable:
        """Sentences of all probed texts."""
        texts, positions = np.nonzero(self.mask)
        owner = np.stack([texts, self.sentences[texts, positions]], axis=1)
        names, inverse = np.unique(owner, axis=0, return_inverse=True)
        sums = np.zeros((len(names), self.normalised_mu.shape[2]))
        np.add.at(sums, inverse.ravel(), self.normalised_mu[texts, positions])
        counts = np.bincount(inverse.ravel(), minlength=len(names))
        own_text = names[:, 0]
        return SentenceTable(
            features=(sums / counts[:, None]).astype(np.float32),
            texts=own_text,
            labels={name: labels[own_text] for name, labels in self.text_labels.items()},
        )

    @cached_property
    def context_table(self) -> ContextTable:
        """Up to `probe_tokens` real target tokens, from the first texts that have a context."""
        usable = self.mask & self.is_target & (self.cuts > 0)[:, None]
        texts, positions = (part[: self.config.probe_tokens] for part in np.nonzero(usable))
        mu, before = self.normalised_mu, (~self.is_target).astype(np.float32)
        mean = np.einsum("tld,tl->td", mu, before) / np.maximum(before.sum(1), 1)[:, None]
        last = mu[np.arange(len(mu)), np.maximum(self.cuts - 1, 0)]
        away = (positions - self.cuts[texts]) / mu.shape[1]
        return ContextTable(
            z=self.normalised_z[texts, positions],
            context=np.concatenate([mean[texts], last[texts], away[:, None]], axis=1),
            texts=texts,
        )

    @cached_property
    def text_features(self) -> np.ndarray:
        """(T, D) mean of each text's normalised `mu` over its real tokens, or its only latent."""
        if not self.per_token:
            return self.normalised_mu[:, 0]
        return masked_mean(self.normalised_mu, self.mask)

    @cached_property
    def text_baseline(self) -> np.ndarray | None:
        """(T, W) mean token embedding of each text: a bag of words; None without embeddings."""
        if self.embedding is None:
            return None
        return masked_mean(self.embedding[self.padded_ids], self.mask)

    @cached_property
    def text_labels(self) -> dict[str, np.ndarray]:
        """label set -> (T,) int64, -1 = missing; the study's labels, then a bundle's own."""
        ours = {name: np.asarray(v)[self.rows] for name, v in self.split.labels.items()}
        return ours | {name: own.codes[self.rows] for name, own in self._own_labels.items()}

    @cached_property
    def text_classes(self) -> dict[str, tuple[str, ...]]:
        """label set -> its class names, for every entry of `text_labels`."""
        ours = {name: self.corpus.label_names[name] for name in self.split.labels}
        return ours | {name: own.classes for name, own in self._own_labels.items()}

    @cached_property
    def _own_labels(self) -> dict[str, OwnLabel]:
        return read_labels(self.run)

    @cached_property
    def times(self) -> np.ndarray:
        """(512,) quantile midpoints of the flow's training times."""
        shares = (torch.arange(TIME_POINTS, dtype=torch.float64) + 0.5) / TIME_POINTS
        return TimeSampler(self.run.config.flow.time).quantile(shares).numpy()

    @torch.inference_mode()
    def decode(self, z: np.ndarray) -> np.ndarray:
        """Logits (B, L, V) float32 of normalised latents (B, L, D)."""
        with autocast(self.place, "auto"):
            latents = torch.from_numpy(np.ascontiguousarray(z, np.float32)).to(self.place.device)
            return self.vae.decode_normalised(latents).float().cpu().numpy()

    @property
    def read_batch(self) -> int:
        """Number of texts decoded at once, so that logits stay small for any vocabulary."""
        per_text = self.corpus.window * self.corpus.vocab_size
        return max(1, min(READ_BATCH, LOGIT_ELEMENTS // per_text))

    def decode_ids(self, z: np.ndarray) -> np.ndarray:
        """Most likely tokens (B, L) int64 of normalised latents (B, L, D)."""
        starts = range(0, len(z), self.read_batch)
        return np.concatenate([self.decode(z[i : i + self.read_batch]).argmax(-1) for i in starts])

    def decode_texts(self, z: np.ndarray) -> list[str]:
        """Texts of normalised latents (B, L, D), up to the first end-of-text."""
        return [self.corpus.tokenizer.decode(row) for row in self.decode_ids(z)]

    @torch.inference_mode()
    def read(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Decode normalised latents (T, L, D) of the probed texts.

        Returns:
            (T, L) int64 token ids, and (T, L) nats of the true token.
        """
        read_ids, nats = [], []
        for start in range(0, len(z), self.read_batch):
            part = slice(start, start + self.read_batch)
            batch = load_texts(self.split, self.rows[part], self.corpus.window, self.cuts[part])
            log_probs = torch.from_numpy(self.decode(z[part])).log_softmax(-1)
            read_ids.append(log_probs.argmax(-1))
            nats.append(-_gathered(log_probs, batch.token_ids))
        return torch.cat(read_ids).numpy(), torch.cat(nats).numpy()


def masked_mean(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean (B, W) of values (B, L, W) where `mask` (B, L) is True, 0 where it has none."""
    weights = mask.astype(np.float32)
    return np.einsum("blw,bl->bw", values, weights) / np.maximum(weights.sum(1), 1)[:, None]


def _gathered(log_probs: Tensor, token_ids: Tensor) -> Tensor:
    return log_probs.gather(-1, token_ids[..., None]).squeeze(-1)
