"""Writing around a word: what is counted, beside free texts, pasted words and human texts."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from models.generators.families import FAMILIES
from models.generators.writing import WritingStep
from workbench.cli import main as cli
from workbench.errors import InputError
from workbench.score import keyword_control as keyword_module
from workbench.score.keyword_control import _Word, measure_keyword
from workbench.study.folders import Study
from workbench.study.generators import GeneratorRun

KINDS = ("controlled", "free", "pasted", "human")


@pytest.fixture
def study(generator_study) -> Study:
    return generator_study


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.infills])
def test_a_word_is_written_around_by_the_command(study, name, capsys):
    words = ["control", f"{study.directory}/{name}", "--keyword", "Fox", "--texts", "6", "--json"]
    assert cli.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    for kind in KINDS:
        for share in found[kind].values():
            assert share["n"] == 6 or (kind == "human" and share["n"] >= 2)
            assert 0 <= share["low"] <= share["mean"] <= share["high"] <= 1
    assert found["human"]["has_word"]["mean"] == 1
    for name_, kind in (("over_free", "free"), ("over_pasted", "pasted")):
        difference = found["controlled"]["fits"]["mean"] - found[kind]["fits"]["mean"]
        assert found[name_]["mean"] == pytest.approx(difference)
    assert cli.main(words[:-1]) == 0
    assert "controlled - pasted" in capsys.readouterr().out


class Playing:
    """Writes whole given texts, and nothing of its own."""

    def __init__(self, around: np.ndarray, free: np.ndarray) -> None:
        self.around, self.free = around, free

    def infill(self, token_ids, given, sampling, generators):
        assert torch.equal(token_ids[given].cpu(), torch.from_numpy(self.around[given.numpy()]))
        yield WritingStep(torch.from_numpy(self.around), given | True, given, 1.0, 1)

    def write(self, token_ids, ctx_len, sampling, generators):
        written = torch.from_numpy(self.free)
        yield WritingStep(written, written > -1, written > -1, 1.0, 1)


def with_the_word(study: Study, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, window) training texts that have "fox" where the asked prompts have it, and given."""
    prompts, given = _Word(study.corpus, "fox").prompts(count, 0)
    rows = study.corpus.split("train").padded(np.arange(len(study.corpus.split("train"))))[0]
    fitting = [
        rows[np.flatnonzero((rows[:, own] == prompt[own]).all(axis=1))[0]]
        for prompt, own in zip(prompts.token_ids, given, strict=True)
    ]
    return np.array(fitting), given


def without_the_word(study: Study, count: int) -> np.ndarray:
    split = study.corpus.split("train")
    free = [i for i, text in enumerate(split.texts(np.arange(len(split)))) if "fox" not in text]
    return split.padded(free[:count])[0]


def test_true_texts_succeed_and_pasted_words_do_not(study, context, monkeypatch):
    """A word inside a training text fits; in a text that was written without it, it does not."""
    around, given = with_the_word(study, 8)
    model = Playing(around, without_the_word(study, 8))
    monkeypatch.setattr(keyword_module, "load_trained", lambda run, place: model)
    run = GeneratorRun(study, "llada", 0)
    found = measure_keyword(run, "fox", 8, context)
    means = {kind: [found[kind][name]["mean"] for name in found[kind]] for kind in KINDS}
    assert means["controlled"] == [1, 1]
    assert means["free"] == [0, 0]
    assert means["pasted"][0] == 1
    assert means["pasted"][1] < 0.5
    assert found["over_free"]["mean"] == 1
    assert "fox" in found["texts"]["controlled"][0]

    # A text that ends before its word does not have it, although the word was given.
    before = np.arange(around.shape[1]) < given.argmax(axis=1)[:, None]
    model.around = np.where(before, 0, around)
    ended = measure_keyword(run, "fox", 8, context)
    late = float((given.argmax(axis=1) == 0).mean())
    assert ended["controlled"]["has_word"]["mean"] == late < 1


def test_a_word_is_whole_and_has_its_place(study):
    word = _Word(study.corpus, "fox")
    (encoded,) = study.corpus.tokenizer.encode_batch(["the fox and the foxes"])
    assert word._places("the fox and the foxes", encoded.offsets) == [(1, 2)]
    prompts, given = word.prompts(5, 0)
    assert (given.sum(axis=1) == 1).all()
    assert len(set(prompts.token_ids[given].tolist())) == 1
    assert not np.array_equal(given, word.prompts(5, 1)[1])
    spelled = prompts.token_ids[given][0]
    assert word.pasted(np.array([7, 8, 9]), 1).tolist() == [7, spelled, 9]
    assert word.pasted(np.array([7, 8, 9]), 40).tolist() == [7, 8, spelled]
    assert word.pasted(np.array([], np.int64), 40).tolist() == [spelled]


def test_a_run_that_no_training_text_has_does_not_fit(study):
    train = study.corpus.split("train")
    texts = train.texts(np.arange(len(train)))
    text = next(text for text in texts if " fox " in text and text.count("fox") == 1)
    other = text.replace(" fox ", " fox fox ", 1)
    scores = _Word(study.corpus, "fox").scores([text, other, "the fox", "a goose went home ."])
    assert scores["has_word"].tolist() == [1, 1, 1, 0]
    assert scores["fits"].tolist() == [1, 0, 0, 0]


def test_what_cannot_be_asked_for_is_refused(study, capsys, context):
    start = ["control", f"{study.directory}/llada"]
    either = "give either --label with --target, or --keyword"
    for words, message in (
        ([*start, "--keyword", "zyxw"], "--keyword 'zyxw': no training text has it"),
        ([*start, "--keyword", " "], "--keyword must be one or more words"),
        (start, either),
        ([*start, "--label", "mood"], either),
        ([*start, "--keyword", "fox", "--target", "sad"], either),
        ([*start, "--keyword", "fox", "--label", "mood", "--target", "sad"], either),
        (
            ["control", f"{study.directory}/gpt2", "--keyword", "fox"],
            "gpt2 cannot write around a word: it sees one side; llada, diffusion-lm can",
        ),
    ):
        assert cli.main(words) == 2, words
        assert message in capsys.readouterr().err
    same = GeneratorRun(study, "llada", 0)
    sampling = dataclasses.replace(same.config.sampling, temperature=0.0)
    same.__dict__["config"] = dataclasses.replace(same.config, sampling=sampling)
    with pytest.raises(InputError, match=r"needs sampling.temperature > 0"):
        measure_keyword(same, "fox", 4, context)
