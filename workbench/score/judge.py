"""Score continuations, whether written by an arm, the baseline, or a human control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workbench.sample.references import References, first_references, open_references
from workbench.score.rungs import other_people, prompt_tokens
from workbench.score.two_samples import Sample, compare_samples, featurizer_name
from workbench.score.unseen_words import training_runs
from workbench.train.language_model import load_language_model

if TYPE_CHECKING:
    from analyses.result import PerText, Result
    from analyses.texts.ngram_scores import NgramIndex
    from models.causal_reader import CausalReader
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
        whole: scores of all texts together, with their intervals, by name.
        sample: features of the continuations, and which are empty.
        detail: corpus-level numbers, such as pooled distinct-n and facts kept by field.
    """

    per_text: dict[str, np.ndarray]
    whole: dict[str, Result]
    sample: Sample
    detail: dict[str, Any]


class Judge:
    """Everything needed for scoring, loaded once: references, n-grams, embedders, language models.

    Args:
        study: its references and language model are used.
        place: device that models run on.
        num_prompts: use only the first prompts; None uses all.
    """

    def __init__(self, study: Study, place: Placement, num_prompts: int | None = None) -> None:
        corpus = study.corpus
        self._features = study.baselines_dir
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
    def outside(self) -> CausalReader | None:
        """The language model that never saw the corpus, if the study asks for one."""
        from models.causal_reader import load_causal_reader

        name = self.study_config.outside.model
        return load_causal_reader(name, self._place.device) if name else None

    @cached_property
    def language_model(self) -> CausalLM:
        """The judging language model."""
        return load_language_model(self._study, self._place)

    @cached_property
    def ngrams(self) -> NgramIndex:
        """All n-grams of the training split."""
        return training_runs(self.corpus)

    @cached_property
    def prompts(self) -> list[np.ndarray]:
        """Token ids of the prompts."""
        return prompt_tokens(self.corpus, self.references)

    @cached_property
    def reference_tokens(self) -> list[np.ndarray]:
        """Token embeddings of the human continuations."""
        return self.encoder.token_embeddings(self.references.continuations)

    @cached_property
    def human_features(self) -> Mapping[str, np.ndarray]:
        """Featurizer -> features of the human continuations, stored with the baselines."""
        embedder = featurizer_name(self.config.encoder)
        if self.outside is None:
            return {embedder: self.references.embeddings}
        files = [self._features / f"human.{name}.npy" for name in self._outside_names]
        stored = [np.load(file) for file in files if file.is_file()]
        count = min(self.study_config.outside.prompts, len(self.prompts))
        if [len(rows) for rows in stored] == [count] * len(files):
            found = dict(zip(self._outside_names, stored, strict=True))
            return {embedder: self.references.embeddings, **found}
        return self.read(self.prompts, self.references.token_ids)[0].features

    @cached_property
    def _other_features(self) -> Mapping[str, np.ndarray]:
        """Featurizer -> features of as many other human texts, with their own prompts."""
        others = other_people(self.corpus, len(self.prompts), self.config.seed)
        return self.read(*others)[0].features

    @property
    def _outside_names(self) -> tuple[str, str]:
        """Featurizers of the outside model: prompt and continuation, continuation alone."""
        name = featurizer_name(self.study_config.outside.model)
        return name, f"{name}-alone"

    @cached_property
    def _human_stories(self) -> np.ndarray:
        """(N,) bool: prompts whose human text is a complete story of the grammar."""
        return self._grammar(self.references.token_ids)["grammar_texts"] == 1

    def nats_per_token(self, token_ids: list[np.ndarray]) -> np.ndarray:
        """Nats per token of each continuation after its own prompt, including one end-of-text."""
        window, references = self.corpus.window, self.references
        rows = np.full((len(token_ids), window), self.corpus.tokenizer.eot_id, np.int64)
        lengths = np.zeros(len(token_ids), np.int64)
        for row, (prompt, ids) in enumerate(zip(self.prompts, token_ids, strict=True)):
            text = np.concatenate([prompt, ids])[:window]
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
        self,
        texts: list[str],
        token_ids: list[np.ndarray],
        ended: np.ndarray | None = None,
        *,
        against_others: bool = False,
    ) -> Scores:
        """Score one continuation of every prompt.

        Args:
            texts: N continuations.
            token_ids: N arrays of their tokens.
            ended: (N,) bool, whether the text ended by itself; None where that has no meaning.
            against_others: compare with other human texts; used for texts made from the references.
        """
        sample, outside, tokens = self.read(self.prompts, token_ids)
        human = self._other_features if against_others else self.human_features
        compared = compare_samples(human, sample, self.config)
        per_text, detail = self._per_text(texts, token_ids, tokens)
        per_text |= {**outside, **compared.per_text}
        if ended is not None:
            per_text["ended"] = ended.astype(np.float64)
        return Scores(per_text, compared.whole, sample, {**detail, **compared.detail})

    def read(
        self, prompts: list[np.ndarray], token_ids: list[np.ndarray]
    ) -> tuple[Sample, dict[str, np.ndarray], list[np.ndarray]]:
        """Features of continuations, their nats under the outside model, and token embeddings."""
        decode = self.corpus.tokenizer.decode
        texts = [decode(ids) for ids in token_ids]
        empty = np.array([len(ids) == 0 for ids in token_ids], bool)
        embedded, tokens = self.encoder.embed_both(texts)
        embedded[empty] = 0.0
        tokens = [rows[:0] if gone else rows for rows, gone in zip(tokens, empty, strict=True)]
        features = {featurizer_name(self.config.encoder): embedded}
        if self.outside is None:
            return Sample(features, empty), {}, tokens
        (name, second), count = self._outside_names, self.study_config.outside.prompts
        starts = [len(decode(ids)) for ids in prompts[:count]]
        whole = self.outside.read(_joined(decode, prompts, token_ids)[:count], starts)
        alone = self.outside.read(texts[:count], [0] * len(starts))
        features |= {name: whole.last_states, second: alone.last_states}
        nats = np.full(len(texts), np.nan)
        nats[: len(starts)] = whole.nats_per_token
        return Sample(features, empty), {f"nats[{name}]": nats}, tokens

    def _per_text(
        self, texts: list[str], token_ids: list[np.ndarray], tokens: list[np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        from analyses.texts.fidelity import fidelity
        from analyses.texts.ngram_scores import diversity_scores, valid_ngram_scores
        from analyses.texts.overlap_scores import overlap_scores

        references = self.references
        parts = [
            overlap_scores(texts, references.continuations),
            self._embedding_score(texts, tokens),
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
        if self.study_config.corpus.name == "stories":
            per_text |= self._grammar(token_ids)
            # A story that the window cuts off has no ending to judge.
            per_text["grammar_texts"][~self._human_stories] = np.nan
        return per_text, {key: value for part in parts for key, value in part.detail.items()}

    def _grammar(self, token_ids: list[np.ndarray]) -> dict[str, np.ndarray]:
        from data.stories.recogniser import grammar_scores

        decode = self.corpus.tokenizer.decode
        prompts = [decode(ids) for ids in self.prompts]
        return grammar_scores(_joined(decode, self.prompts, token_ids), prompts)

    def _embedding_score(self, texts: list[str], tokens: list[np.ndarray]) -> PerText:
        from analyses.result import PerText
        from analyses.texts.embedding_score import embedding_scores

        if self.config.bert_score:
            return _bert_score(texts, self.references.continuations, self.config.bert_score)
        scored = embedding_scores(tokens, self.reference_tokens)
        f1 = next(values for name, values in scored.values.items() if name.endswith("f1"))
        return PerText(values={"embedding_f1": f1}, detail=scored.detail)


def _joined(
    decode: Callable[[np.ndarray], str], prompts: list[np.ndarray], token_ids: list[np.ndarray]
) -> list[str]:
    """Texts of the prompts with their continuations, decoded together."""
    pairs = zip(prompts, token_ids, strict=True)
    return [decode(np.concatenate([prompt, ids])) for prompt, ids in pairs]


def _bert_score(texts: list[str], references: list[str], model: str) -> PerText:
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
