"""Score continuations, whether written by an arm, the baseline, or a human control."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workbench.sample.references import References, first_references, open_references
from workbench.train.language_model import load_language_model

if TYPE_CHECKING:
    from analyses.result import Result
    from analyses.texts.ngram_scores import NgramIndex
    from models.language_model import CausalLM
    from models.text_encoder import TextEncoder
    from workbench.machine.devices import Placement
    from workbench.study.folders import Study

JUDGE_BATCH = 128


@dataclass(frozen=True)
class Scores:
    """Scores of N continuations.

    Attributes:
        per_text: metric -> (N,) float64, NaN where a text has no such score.
        mauve: MAUVE with its interval.
        embeddings: (N, W) float32 features of the continuations (zeros for empty ones).
        empty: (N,) bool.
        detail: corpus-level numbers, such as pooled distinct-n and facts kept by field.
    """

    per_text: dict[str, np.ndarray]
    mauve: Result
    embeddings: np.ndarray
    empty: np.ndarray
    detail: dict[str, Any]


class Judge:
    """Everything needed for scoring, loaded once: references, n-grams, embedder, language model.

    Args:
        study: its references and language model are used.
        place: device that models run on.
        num_prompts: use only the first prompts; None uses all.
    """

    def __init__(self, study: Study, place: Placement, num_prompts: int | None = None) -> None:
        corpus = study.corpus
        self.study_config = study.config.base
        self.config = study.config.base.evaluation
        self.corpus, self._study, self._place = corpus, study, place
        self.references: References = open_references(study.references_dir)
        if num_prompts is not None:
            self.references = first_references(self.references, num_prompts)

    @cached_property
    def encoder(self) -> TextEncoder:
        """The text embedder."""
        from models.text_encoder import load_text_encoder

        return load_text_encoder(self.config.encoder)

    @cached_property
    def language_model(self) -> CausalLM:
        """The judging language model."""
        return load_language_model(self._study, self._place)

    @cached_property
    def ngrams(self) -> NgramIndex:
        """All n-grams of the training split."""
        from analyses.texts.ngram_scores import build_ngram_index

        split = self.corpus.split("train")
        flat = np.asarray(split.flat_token_ids)
        rows = [
            flat[start : start + length].astype(np.int64)
            for start, length in zip(split.starts, split.lengths, strict=True)
        ]
        return build_ngram_index(rows, vocab_size=self.corpus.vocab_size)

    @cached_property
    def reference_tokens(self) -> list[np.ndarray]:
        """Token embeddings of the human continuations."""
        return self.encoder.token_embeddings(self.references.continuations)

    def nats_per_token(self, token_ids: list[np.ndarray]) -> np.ndarray:
        """Nats per token of each continuation after its own prompt, including one end-of-text."""
        window = self.corpus.window
        split, references = self.corpus.split("test"), self.references
        rows = np.full((len(token_ids), window), self.corpus.tokenizer.eot_id, np.int64)
        lengths = np.zeros(len(token_ids), np.int64)
        prompts, _ = split.padded(references.indices)
        for row, (cut, ids) in enumerate(zip(references.cuts, token_ids, strict=True)):
            text = np.concatenate([prompts[row, :cut], ids])[:window]
            rows[row, : len(text)], lengths[row] = text, len(text)
        mask = np.arange(window) < lengths[:, None]
        values = [
            self.language_model.nats_per_token(
                torch.from_numpy(rows[part]).to(self._place.device),
                torch.from_numpy(mask[part]).to(self._place.device),
                torch.from_numpy(references.cuts[part].astype(np.int64)).to(self._place.device),
            ).cpu()
            for start in range(0, len(rows), JUDGE_BATCH)
            for part in [slice(start, start + JUDGE_BATCH)]
        ]
        return torch.cat(values).numpy()

    def score(
        self, texts: list[str], token_ids: list[np.ndarray], ended: np.ndarray | None = None
    ) -> Scores:
        """Score one continuation of every prompt.

        Args:
            texts: N continuations.
            token_ids: N arrays of their tokens.
            ended: (N,) bool, whether the text ended by itself; None where that has no meaning.
        """
        from analyses.texts.fidelity import fidelity
        from analyses.texts.ngram_scores import diversity_scores, valid_ngram_scores
        from analyses.texts.overlap_scores import overlap_scores

        references = self.references
        empty = np.array([len(ids) == 0 for ids in token_ids], bool)
        embeddings = self._embed(texts, empty)
        parts = [
            overlap_scores(texts, references.continuations),
            self._embedding_score(texts, empty),
            valid_ngram_scores(token_ids, self.ngrams),
            diversity_scores(token_ids),
        ]
        if any(references.facts):
            parts.append(
                fidelity(
                    texts,
                    references.prompts,
                    references.continuations,
                    references.facts,
                    self.corpus.fact_values,
                )
            )
        per_text = {name: values for part in parts for name, values in part.values.items()}
        per_text["nats_per_token"] = self.nats_per_token(token_ids)
        if ended is not None:
            per_text["ended"] = ended.astype(np.float64)
        detail = {key: value for part in parts for key, value in part.detail.items()}
        return Scores(per_text, self._mauve(embeddings, empty), embeddings, empty, detail)

    def _embed(self, texts: list[str], empty: np.ndarray) -> np.ndarray:
        width = self.references.embeddings.shape[1]
        embeddings = np.zeros((len(texts), width), np.float32)
        kept = np.flatnonzero(~empty)
        if len(kept):
            embeddings[kept] = self.encoder.embed([texts[i] for i in kept])
        return embeddings

    def _mauve(self, embeddings: np.ndarray, empty: np.ndarray) -> Result:
        from analyses.texts.mauve_score import mauve_score

        return mauve_score(
            self.references.embeddings,
            embeddings,
            mauve_config(self.config),
            featurizer=featurizer_name(self.config.encoder),
            empty=empty,
        )

    def _embedding_score(self, texts: list[str], empty: np.ndarray) -> Any:
        from analyses.result import PerText
        from analyses.texts.embedding_score import embedding_scores

        if self.config.bert_score:
            return _bert_score(texts, self.references.continuations, self.config.bert_score)
        tokens = self.encoder.token_embeddings(texts)
        tokens = [t[:0] if gone else t for t, gone in zip(tokens, empty, strict=True)]
        scored = embedding_scores(tokens, self.reference_tokens)
        f1 = next(values for name, values in scored.values.items() if name.endswith("f1"))
        return PerText(values={"embedding_f1": f1}, detail=scored.detail)


def featurizer_name(encoder: str) -> str:
    """Name of an embedder in `mauve[...]`: the last part of its model id."""
    return encoder.removeprefix("hf:").rstrip("/").split("/")[-1]


def mauve_config(config: Any) -> Any:
    """MAUVE's fixed settings, taken from an `EvaluationConfig`."""
    from analyses.statistics.intervals import BootstrapConfig
    from analyses.texts.mauve_score import MauveConfig

    return MauveConfig(
        num_buckets=config.mauve_buckets,
        num_seeds=config.mauve_seeds,
        bootstrap=BootstrapConfig(num_resamples=config.num_resamples, seed=config.seed),
    )


def _bert_score(texts: list[str], references: list[str], model: str) -> Any:
    from analyses.result import PerText

    try:
        from bert_score import score
    except ImportError as error:
        raise ValueError(
            "evaluation.bert_score needs the package: pip install bert-score"
        ) from error
    from models.teachers.pretrained import load_pretrained

    load_pretrained(f"hf:{model}")  # refuses weights that the package would load only in part
    _, _, f1 = score(texts, references, model_type=model, verbose=False)
    return PerText(values={"embedding_f1": f1.double().numpy()})
