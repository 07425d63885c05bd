"""What every corpus promises, and one table of the settings and calls that `data` refuses."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wordnet_files import write_wordnet

from data.batches import BatchConfig, BatchPlan, random_cuts
from data.corpora import CORPORA, CorpusConfig, load_documents
from data.documents import Document, Span
from data.stories import StoriesConfig, describe_stories, words
from data.stories.frames import compile_frame

LENGTHS = np.arange(1, 40)
ELSEWHERE = {"hf"}  # needs a package of its own: tests/data/test_corpora.py


def config(name: str, folder: Path, number: int) -> CorpusConfig:
    """A configuration of each corpus, with at most `number` documents."""
    source: dict[str, Any] = {"packages": ("numpy",)} if name == "docs" else {}
    if name == "file":
        source["path"] = str(folder / "a.txt")
        Path(source["path"]).write_text("".join(f"line {n}\n" for n in range(9)))
    if name == "glosses":
        source["path"] = str(write_wordnet(folder / "wordnet"))
    return CorpusConfig(name=name, num_documents=number, **source)


@pytest.mark.parametrize("name", sorted(set(CORPORA) - ELSEWHERE))
def test_every_corpus_is_the_same_again_and_begins_alike_when_longer(name, tmp_path):
    few, many = (list(load_documents(config(name, tmp_path, n))) for n in (3, 7))
    assert few == list(load_documents(config(name, tmp_path, 3))) == many[:3]
    assert (len(few), len(many)) == (3, 7)
    for document in many:
        assert document.text.strip()
        for table in (document.labels, document.facts):
            assert all(isinstance(part, str) for pair in table.items() for part in pair)
        assert all(document.text[span.start : span.end] for span in document.spans)


def plan(lengths: np.ndarray, **settings: int) -> BatchPlan:
    return BatchPlan(lengths, 40, BatchConfig(batch_size=16, **settings), 0)


def spans(*places: tuple[int, int], text: str = "a text") -> Document:
    return Document(text=text, spans=tuple(Span(start=a, end=b, labels={}) for a, b in places))


REFUSED = [
    (
        partial(CorpusConfig, name="tales"),
        "name must be one of stories, docs, glosses, file, hf, got",
    ),
    (partial(CorpusConfig, errors="ignore"), "errors must be one of strict, replace"),
    (partial(CorpusConfig, window=7), "window must be >= 8, got 7"),
    (partial(CorpusConfig, num_documents=0), "num_documents must be >= 1, got 0"),
    (partial(CorpusConfig, valid_fraction=-0.1), r"valid_fraction must lie in \[0, 1\), got -0.1"),
    (partial(CorpusConfig, valid_fraction=0.5, test_fraction=0.5), "must be < 1, got 0.5 [+] 0.5"),
    (partial(CorpusConfig, vocabulary="bpe", vocabulary_size=257), "must be >= 258 for bpe"),
    (
        partial(CorpusConfig, path="a.txt"),
        "read by the corpus glosses and file only, not by 'stories'",
    ),
    (partial(CorpusConfig, name="docs", seed=1), "read by the corpus stories only, not by 'docs'"),
    (partial(CorpusConfig, text_column="t"), "text_column is read by the corpus file and hf only"),
    (partial(CorpusConfig, name="file"), "path must name a file"),
    (partial(CorpusConfig, name="hf"), "hf_name must name a data set"),
    (partial(CorpusConfig, name="file", path="a.csv", label_columns=("",)), "not be empty names"),
    (partial(BatchConfig, batch_size=0), "batch_size must be >= 1, got 0"),
    (partial(plan, np.array([], int)), "0 texts to make batches of"),
    (partial(plan, np.array([41])), "a row has 41 tokens, the window 40"),
    (lambda: plan(LENGTHS).batch(-1), "step must be >= 0, got -1"),
    (partial(random_cuts, LENGTHS, 0.6, 0.4, np.random.default_rng(0)), "low <= high"),
    *((partial(spans, place), "0 <= start < end") for place in ((-1, 2), (3, 3), (4, 2))),
    (partial(spans, (0, 4), text="fox"), "beyond the text of 3 characters"),
    (partial(spans, (0, 3), (2, 5)), "in order and apart"),
    (partial(spans, (4, 5), (0, 3)), "in order and apart"),
    (partial(StoriesConfig, num_documents=0), "num_documents must be >= 1, got 0"),
    (partial(describe_stories, []), "0 documents"),
    (partial(compile_frame, "{nobody} [see] it."), "no part of a frame"),
    (partial(compile_frame, "{she} [see] it!"), "no part of a frame"),
    (partial(compile_frame, "{she} [see] zebras."), "no labels"),
    (partial(words.inflect, "gallop", "past"), "'gallop' is unknown"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_is_refused_is_named_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
