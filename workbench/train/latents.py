"""The latents stage: every text's posterior, encoded once and memory-mapped.

Context and target are encoded separately, at `cuts_per_text` fixed cuts per text, so a flow epoch
needs no encoding. `z` is drawn from (mu, logvar) again whenever a batch is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from models.text_vae import TextVAE
from workbench.config.run import generates_vector
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.machine.devices import autocast
from workbench.store.atomic import publish
from workbench.store.faults import check_room
from workbench.store.manifest import is_complete
from workbench.study.model_content import stored_content
from workbench.train.sentence_vectors import SentenceVectors
from workbench.train.texts import fixed_cuts, load_texts, middle_cuts
from workbench.train.vae import load_vae, vae_fingerprint

if TYPE_CHECKING:
    from data.corpus_store import Corpus, Split
    from workbench.config.sampling import ContextConfig
    from workbench.machine.devices import Placement
    from workbench.study.folders import Run, Study

ENCODE_BATCH = 128


@dataclass(frozen=True)
class Latents:
    """Cached posteriors of one split, normalised as the flow sees them.

    Attributes:
        mu: (N, K, L, D) float16 normalised posterior means, K cuts per text.
        std: (N, K, L, D) float16 normalised posterior standard deviations.
        cuts: (N, K) int64 context lengths.
        vectors: (N, K, D) float16 sentence vectors of the targets, NaN where one has none; None
            where the flow generates none.
    """

    mu: np.ndarray
    std: np.ndarray
    cuts: np.ndarray
    vectors: np.ndarray | None = None

    def gather(self, indices: np.ndarray, variants: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """mu (B, L, D), std (B, L, D) and cuts (B,) of texts at the chosen cuts, float32."""
        mu = torch.from_numpy(np.asarray(self.mu[indices, variants], np.float32))
        std = torch.from_numpy(np.asarray(self.std[indices, variants], np.float32))
        return mu, std, torch.from_numpy(self.cuts[indices, variants])

    def gather_vectors(self, indices: np.ndarray, variants: np.ndarray) -> Tensor | None:
        """(B, D) float32 sentence vectors of texts at the chosen cuts, if there are any."""
        if self.vectors is None:
            return None
        return torch.from_numpy(np.asarray(self.vectors[indices, variants], np.float32))

    def sample(self, indices: np.ndarray, seed: int, variant: int = 0) -> np.ndarray:
        """z (B, L, D) float32 of texts: one draw from each posterior."""
        rng = np.random.default_rng(seed)
        mu = np.asarray(self.mu[indices, variant], np.float32)
        std = np.asarray(self.std[indices, variant], np.float32)
        return mu + std * rng.standard_normal(mu.shape, np.float32)


def open_latents(directory: Path, split: str) -> Latents:
    """Open what `encode_latents` wrote."""
    vectors = directory / f"{split}-vectors.npy"
    return Latents(
        np.load(directory / f"{split}-mu.npy", mmap_mode="r"),
        np.load(directory / f"{split}-std.npy", mmap_mode="r"),
        np.load(directory / f"{split}-cuts.npy"),
        np.load(vectors, mmap_mode="r") if vectors.is_file() else None,
    )


def latents_fingerprint(run: Run) -> str:
    """Fingerprint of the stage; part of the fingerprint of everything made from the latents."""
    if run.imported is not None:
        return imported_fingerprint(run.study, run.imported)
    teacher: list[Any] = []
    if generates_vector(run.config):
        teacher = [run.config.teacher, stored_content(run.study.teacher_dir(run.config))]
    return stage_fingerprint("latents", vae_fingerprint(run), run.config.context, *teacher)


def imported_fingerprint(study: Study, bundle: Mapping[str, Any]) -> str:
    """Fingerprint of latents from a bundle: its files, the texts they belong to, own labels."""
    labels = [bundle["labels"]] if bundle.get("labels") else []
    texts = study.corpus.manifest["content_hash"]
    return stage_fingerprint("bundle", bundle["files"], texts, *labels)


def store_latents(run: Run, context: StageContext) -> None:
    """Encode the corpus with the run's trained VAE; done once.

    Raises:
        InputError: the VAE is not trained yet.
    """
    if not is_complete(run.latents_dir, latents_fingerprint(run)):
        encode_latents(run, load_vae(run, context.place), context)


def encode_latents(run: Run, vae: TextVAE, context: StageContext) -> None:
    """Encode all splits of the corpus; held-out texts are cut in half."""
    corpus, config = run.study.corpus, run.config.context
    print_ = latents_fingerprint(run)
    check_room(run.latents_dir, latents_bytes(corpus, config, vae.config.latent_width))
    vectors: SentenceVectors | None = None
    with publish(run.latents_dir, meta={"fingerprint": print_}) as folder:
        for name in ("train", "valid", "test"):
            split = corpus.split(name)
            if name == "train":
                cuts = np.stack(
                    [
                        fixed_cuts(split.lengths, config, k, run.config.seed)
                        for k in range(config.cuts_per_text)
                    ],
                    axis=1,
                )
            else:
                cuts = middle_cuts(split.lengths)[:, None]
            _encode_split(vae, split, name, cuts, config, folder, context)
            if generates_vector(run.config):
                with context.stop.interrupting("latents"):
                    vectors = vectors or SentenceVectors(run, cuts[:, 0])
                    own = np.stack([vectors.of(name, one) for one in cuts.T], axis=1)
                np.save(folder / f"{name}-vectors.npy", own)


def store_held_out_latents(run: Run, place: Placement) -> None:
    """Encode the test split alone, for a study that trains nothing more, such as the example.

    Raises:
        InputError: the VAE is not trained.
    """
    split = run.study.corpus.split("test")
    cuts = middle_cuts(split.lengths)[:, None]
    with publish(run.latents_dir, meta={"fingerprint": latents_fingerprint(run)}) as folder:
        vae, context = load_vae(run, place), StageContext(place)
        _encode_split(vae, split, "test", cuts, run.config.context, folder, context)


def latents_bytes(corpus: Corpus, config: ContextConfig, width: int) -> int:
    """Bytes of the cached latents: mean and standard deviation in float16, for each cut."""
    variants = {"train": config.cuts_per_text, "valid": 1, "test": 1}
    texts = sum(len(corpus.split(name)) * count for name, count in variants.items())
    return texts * corpus.window * width * 2 * 2


def _encode_split(
    vae: TextVAE,
    split: Split,
    name: str,
    cuts: np.ndarray,
    config: ContextConfig,
    folder: Path,
    context: StageContext,
) -> None:
    window, width = split.window, vae.config.latent_width
    shape = (len(split), cuts.shape[1], window, width)
    files = {
        kind: np.lib.format.open_memmap(
            folder / f"{name}-{kind}.npy", mode="w+", dtype=np.float16, shape=shape
        )
        for kind in ("mu", "std")
    }
    np.save(folder / f"{name}-cuts.npy", cuts.astype(np.int64))
    for start in range(0, len(split), ENCODE_BATCH):
        context.stop.check("latents")
        indices = np.arange(start, min(start + ENCODE_BATCH, len(split)))
        context.reporter.update(f"latents ({name})", int(indices[-1]) + 1, len(split), {})
        for variant in range(cuts.shape[1]):
            mu, std = _encode(vae, split, indices, cuts[indices, variant], config, context.place)
            files["mu"][indices, variant] = mu
            files["std"][indices, variant] = std
    for file in files.values():
        file.flush()


def held_out_latents(
    vae: TextVAE, split: Split, count: int, config: ContextConfig, place: Placement
) -> Latents:
    """Posteriors of the first `count` held-out texts, cut in half, as `encode_latents` stores them.

    They stay in memory: for weights whose latents are not stored, such as a milestone's.
    """
    cuts = middle_cuts(split.lengths)[:count]
    parts = [
        _encode(vae, split, rows, cuts[rows], config, place)
        for rows in np.split(np.arange(count), range(ENCODE_BATCH, count, ENCODE_BATCH))
    ]
    mu, std = (
        np.concatenate(kind).astype(np.float16)[:, None] for kind in zip(*parts, strict=True)
    )
    return Latents(mu, std, cuts[:, None])


def _encode(
    vae: TextVAE,
    split: Split,
    indices: np.ndarray,
    cuts: np.ndarray,
    config: ContextConfig,
    place: Placement,
) -> tuple[np.ndarray, np.ndarray]:
    """Normalised posterior means and standard deviations (B, L, D) of texts at the given cuts."""
    batch = load_texts(split, indices, split.window, cuts).to(place.device)
    with torch.inference_mode(), autocast(place, "auto"):
        posterior = vae.encode(batch.token_ids, None if config.joint else batch.segments)
    mu = vae.normalise(posterior.mu.float())
    std = (0.5 * posterior.logvar.float()).exp() / vae.latent_std
    return mu.cpu().numpy(), std.cpu().numpy()
