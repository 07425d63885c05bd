"""Scores of texts without a prompt: nats per token, valid n-grams, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.score.judge import JUDGE_BATCH, Judge

if TYPE_CHECKING:
    from workbench.machine.devices import Placement
    from workbench.study.folders import Study


class TextScores:
    """The study's judge, applied to any texts."""

    def __init__(self, study: Study, place: Placement) -> None:
        corpus = study.corpus
        self._corpus, self._place = corpus, place
        self.judge = Judge(study, place)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(N, W) float32 sentence embeddings; zeros for a text without a token."""
        return self.judge.encoder.embed(list(texts))

    def token_ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Tokens of each text, cut to the window."""
        encodings = self._corpus.tokenizer.encode_batch(list(texts))
        return [encoding.token_ids[: self._corpus.window] for encoding in encodings]

    def nats_per_token(
        self, token_ids: Sequence[np.ndarray], ctx_len: np.ndarray | None = None
    ) -> np.ndarray:
        """Nats per token (N,) of texts after their first `ctx_len` (N,) tokens, 0 by default."""
        window, device = self._corpus.window, self._place.device
        cuts = np.zeros(len(token_ids), np.int64) if ctx_len is None else ctx_len
        rows = np.full((len(token_ids), window), self._corpus.tokenizer.eot_id, np.int64)
        lengths = np.array([min(len(ids), window) for ids in token_ids], np.int64)
        for row, ids in enumerate(token_ids):
            rows[row, : lengths[row]] = ids[:window]
        mask = np.arange(window) < lengths[:, None]
        parts = []
        for start in range(0, len(rows), JUDGE_BATCH):
            part = slice(start, start + JUDGE_BATCH)
            tensors = (torch.from_numpy(x[part]).to(device) for x in (rows, mask, cuts))
            parts.append(self.judge.language_model.nats_per_token(*tensors).cpu())
        return torch.cat(parts).numpy()

    def valid_4gram(self, token_ids: Sequence[np.ndarray]) -> np.ndarray:
        """Share (N,) of a text's 4-grams that occur in the training split; NaN below 4 tokens."""
        from analyses.texts.ngram_scores import valid_ngram_scores

        return valid_ngram_scores(list(token_ids), self.judge.ngrams).values["valid_4gram"]
