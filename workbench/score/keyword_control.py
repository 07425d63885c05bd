"""How often a text that is written around a given word has the word, and says it as texts do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from data.spread import spread_rows
from workbench.errors import InputError
from workbench.machine.seeds import step_generator
from workbench.sample.generators import write_texts
from workbench.sample.infill import refuse_one_sided
from workbench.sample.prompts import Prompts
from workbench.score.control import nothing_given
from workbench.score.unseen_words import ORDER, training_runs
from workbench.train.generators import load_trained

if TYPE_CHECKING:
    from analyses.texts.ngram_scores import NgramIndex
    from data.corpus_store import Corpus, Split
    from data.tokenization import Encoding
    from workbench.machine.context import StageContext
    from workbench.study.generators import GeneratorRun

MOST = 5000  # texts of a split in which the word is looked for

Place = tuple[int, int]  # half-open tokens


def measure_keyword(
    run: GeneratorRun, keyword: str, count: int, context: StageContext
) -> dict[str, Any]:
    """Share of texts, written from nothing, that have a word, with it given and without.

    The word stands from the first step where it stands in a training text, another one for each
    text; the rest, the text's end included, is written around it. A text in which it `fits` has it
    at a place where each run of four tokens over it is one of the training texts.

    Args:
        run: a trained generator whose family sees both sides of a place.
        keyword: one or more whole words.
        count: texts of each kind, the human ones at most so many.
        context: device, reporter and stop signal.

    Returns:
        `controlled`, `free` (from the same noise, no word given), `pasted` (the free texts with the
        word put over what stands at the same place: chance) and `human` (held-out texts that have
        the word), each with `has_word` and `fits`, shares with interval and n; `over_free` and
        `over_pasted`, the differences in `fits` of the controlled texts, paired; `texts`: a few
        of the controlled and the free ones.

    Raises:
        InputError: its family sees one side only, it writes the same from nothing every time, or
            too few texts have the word.
    """
    from analyses.statistics.intervals import bootstrap, paired_bootstrap

    refuse_one_sided(run, "write around a word")
    sampling, corpus = run.config.sampling, run.study.corpus
    if getattr(sampling, "temperature", 1.0) == 0:
        raise InputError("--keyword needs sampling.temperature > 0: at 0 every text is the same")
    word = _Word(corpus, keyword)
    prompts, given = word.prompts(count, run.seed)
    model = load_trained(run, context.place)

    def written(stage: str, own: Prompts, stays: np.ndarray | None) -> list[np.ndarray]:
        found, _ = write_texts(
            model, corpus, own, context,
            sampling=sampling, seed=run.seed, stage=stage, given=stays, end_given=False,
        )  # fmt: skip
        return found.token_ids

    tokens = {
        "controlled": written("controlled", prompts, given),
        "free": written("free", nothing_given(corpus, count), None),
    }
    places = given.argmax(axis=1)
    tokens["pasted"] = [
        word.pasted(ids, int(place)) for ids, place in zip(tokens["free"], places, strict=True)
    ]
    texts = {kind: [corpus.tokenizer.decode(ids) for ids in own] for kind, own in tokens.items()}
    texts["human"] = word.held_out(count)
    found = {kind: word.scores(own) for kind, own in texts.items()}

    def over(kind: str) -> dict[str, Any]:
        own = asdict(paired_bootstrap(found["controlled"]["fits"], found[kind]["fits"]))
        return {"mean": own.pop("difference"), **own}

    return {
        **{
            kind: {name: asdict(bootstrap(values)) for name, values in own.items()}
            for kind, own in found.items()
        },
        "over_free": over("free"),
        "over_pasted": over("pasted"),
        "texts": {kind: texts[kind][:3] for kind in ("controlled", "free")},
    }


class _Word:
    """A word, its commonest spelling in tokens, and where the training texts have it."""

    def __init__(self, corpus: Corpus, keyword: str) -> None:
        if not keyword.strip():
            raise InputError("--keyword must be one or more words, got nothing")
        self._corpus, self._keyword = corpus, keyword.strip()
        self._pattern = re.compile(rf"(?<!\w){re.escape(self._keyword)}(?!\w)", re.IGNORECASE)
        train = corpus.split("train")
        rows = spread_rows(np.arange(len(train)), MOST)
        spelled: list[tuple[tuple[int, ...], int]] = []
        sides = zip(
            train.texts(rows), train.token_offsets(rows), train.padded(rows)[0], strict=True
        )
        for text, offsets, token_ids in sides:
            spelled += [
                (tuple(token_ids[start:end].tolist()), start)
                for start, end in self._places(text, offsets)
            ]
        if not spelled:
            raise InputError(f"--keyword {keyword!r}: no training text has it")
        ((self._spelling, _),) = Counter(tokens for tokens, _ in spelled).most_common(1)
        self._starts = np.array([at for tokens, at in spelled if tokens == self._spelling])
        self._seen: NgramIndex = training_runs(corpus)

    def prompts(self, count: int, seed: int) -> tuple[Prompts, np.ndarray]:
        """Windows with nothing but the word, and (N, window) bool where it stands."""
        import torch

        generator = step_generator(torch.device("cpu"), seed, "keyword")
        drawn = torch.randint(len(self._starts), (count,), generator=generator).numpy()
        empty = nothing_given(self._corpus, count)
        place = np.arange(self._corpus.window) - self._starts[drawn][:, None]
        given = (place >= 0) & (place < len(self._spelling))
        empty.token_ids[given] = np.tile(self._spelling, count)
        return empty, given

    def pasted(self, token_ids: np.ndarray, place: int) -> np.ndarray:
        """A text with the word over what stands at a place, or at its end if it ends before."""
        start = max(0, min(place, len(token_ids) - len(self._spelling)))
        behind = token_ids[start + len(self._spelling) :]
        return np.concatenate([token_ids[:start], self._spelling, behind]).astype(np.int64)

    def held_out(self, count: int) -> list[str]:
        """Texts of the test split that have the word, from all over it.

        Raises:
            InputError: fewer than two have it.
        """
        split: Split = self._corpus.split("test")
        rows = spread_rows(np.arange(len(split)), MOST)
        readable = [self._corpus.tokenizer.decode(ids) for ids in split.padded(rows)[0]]
        found = [text for text in readable if self._pattern.search(text)]
        if len(found) < 2:
            raise InputError(
                f"--keyword {self._keyword!r}: two or more held-out texts must have it, as what "
                f"people write is what counts, got {len(found)}"
            )
        return [found[row] for row in spread_rows(np.arange(len(found)), count)]

    def scores(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """`has_word` and `fits` of N texts, each (N,) of 0 and 1."""
        encoded = self._corpus.tokenizer.encode_batch(texts)
        pairs = list(zip(texts, encoded, strict=True))
        return {
            "has_word": np.array([bool(self._pattern.search(text)) for text in texts], float),
            "fits": np.array([self._fits(text, own) for text, own in pairs], float),
        }

    def _fits(self, text: str, encoded: Encoding) -> bool:
        known = self._seen.valid(encoded.token_ids)[ORDER]
        runs = [
            known[max(0, start - ORDER + 1) : end]
            for start, end in self._places(text, encoded.offsets)
        ]
        return any(len(own) > 0 and bool(own.all()) for own in runs)

    def _places(self, text: str, offsets: np.ndarray) -> list[Place]:
        """Where tokens spell the word and nothing else."""
        found = []
        for match in self._pattern.finditer(text):
            inside = (offsets[:, 0] < match.end()) & (offsets[:, 1] > match.start())
            tokens = np.flatnonzero(inside)
            if len(tokens):
                first, last = int(tokens[0]), int(tokens[-1])
                if (offsets[first, 0], offsets[last, 1]) == match.span():
                    found.append((first, last + 1))
        return found
