"""Prompts as tensors, from the held-out split or from a user."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from workbench.errors import InputError
from workbench.train.texts import TextBatch

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from models.text_vae import TextVAE
    from workbench.sample.references import References


@dataclass(frozen=True)
class Prompts:
    """N prompts.

    Attributes:
        token_ids: (N, L) int64: the context, then end-of-text to the window's end.
        cuts: (N,) int64 context lengths.
        identities: (N,) int64. A prompt's starting noise depends on its identity and the seed, so
            every arm starts it from the same noise.
        texts: N prompts as text.
    """

    token_ids: np.ndarray
    cuts: np.ndarray
    identities: np.ndarray
    texts: list[str]

    def __len__(self) -> int:
        return len(self.cuts)

    def part(self, rows: slice) -> Prompts:
        """Some of the prompts, with their identities and so their noise."""
        return Prompts(
            self.token_ids[rows], self.cuts[rows], self.identities[rows], self.texts[rows]
        )

    def batch(self, rows: slice) -> TextBatch:
        """Some rows as tensors; the mask covers the context."""
        token_ids = torch.tensor(self.token_ids[rows])
        cuts = torch.tensor(self.cuts[rows])
        return TextBatch(token_ids, torch.arange(token_ids.shape[1]) < cuts[:, None], cuts)


def held_out_prompts(
    corpus: Corpus, indices: np.ndarray, cuts: np.ndarray, texts: list[str], *, joint: bool
) -> Prompts:
    """Prompts cut from the test split.

    With `joint` (the leak that `ContextConfig.joint` demonstrates) the target's tokens stay in
    place for the encoder to see. Otherwise they are removed.
    """
    token_ids, _ = corpus.split("test").padded(indices)
    if not joint:
        inside = np.arange(token_ids.shape[1]) < cuts[:, None]
        token_ids = np.where(inside, token_ids, corpus.tokenizer.eot_id)
    return Prompts(token_ids, np.asarray(cuts, np.int64), np.asarray(indices, np.int64), texts)


def typed_prompts(corpus: Corpus, texts: list[str], known: References | None = None) -> Prompts:
    """A user's prompts; their noise depends on their text, not on their order.

    Args:
        corpus: its tokeniser and window are used.
        texts: prompts.
        known: held-out prompts; a typed prompt with the same text gets the same identity and noise.

        Raises:
            InputError: a prompt has no token, or is too long to leave room for a continuation.
    """
    token_ids = np.full((len(texts), corpus.window), corpus.tokenizer.eot_id, np.int64)
    cuts = np.zeros(len(texts), np.int64)
    identities = np.zeros(len(texts), np.int64)
    held_out = {} if known is None else _identities(corpus, known)
    for row, encoding in enumerate(corpus.tokenizer.encode_batch(texts)):
        length = len(encoding.token_ids)
        if length == 0:
            raise InputError(f"prompt {row + 1} is empty")
        if length >= corpus.window:
            raise InputError(
                f"prompt {row + 1} has {length} tokens and the window {corpus.window}: shorten the "
                "prompt to leave room for a continuation"
            )
        token_ids[row, :length] = encoding.token_ids
        cuts[row] = length
        content = encoding.token_ids.tobytes()
        own = int.from_bytes(hashlib.sha256(content).digest()[:7], "little")
        identities[row] = held_out.get(content, own)
    return Prompts(token_ids, cuts, identities, texts)


def _identities(corpus: Corpus, known: References) -> dict[bytes, int]:
    """Tokens of each held-out prompt -> its identity; equal prompts get that of the first."""
    found: dict[bytes, int] = {}
    encodings = corpus.tokenizer.encode_batch(known.prompts)
    for encoding, index in zip(encodings, known.indices, strict=True):
        found.setdefault(encoding.token_ids.tobytes(), int(index))
    return found


@torch.inference_mode()
def encode_context(vae: TextVAE, batch: TextBatch, *, joint: bool) -> Tensor:
    """Normalised posterior means (B, L, D) of the context, encoded separately from the target."""
    posterior = vae.encode(batch.token_ids, None if joint else batch.segments)
    return vae.normalise(posterior.mu.float())
