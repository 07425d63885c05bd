"""Tasks of generators beyond continuing a prompt: filling gaps, and writing towards a label."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.generators.families import FAMILIES
from models.generators.writing import WritingStep
from workbench.cli import main as cli
from workbench.sample.generators import write_texts
from workbench.sample.infill import gapped_prompts
from workbench.score import control, infilling
from workbench.score.infilling import held_out_gaps, over_edges
from workbench.study.folders import Study


@pytest.fixture
def study(generator_study) -> Study:
    return generator_study


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.infills])
def test_a_gap_is_filled_by_the_command(study, name, capsys):
    words = ["infill", f"{study.directory}/{name}", "--length", "3", "--json", "--text"]
    assert cli.main([*words, "anna the fox ___ the lake."]) == 0
    (sample,) = json.loads(capsys.readouterr().out)["samples"]
    assert sample["prompt"] == "anna the fox"
    assert sample["continuation"].endswith("the lake.")
    for text, message in (("anna", "must have one gap"), ("the " * 64 + "___", "and the window")):
        assert cli.main([*words, text]) == 2
        assert message in capsys.readouterr().err


def test_an_end_within_a_gap_ends_no_text(study, context):
    """What stands behind the gap is given, so an end-of-text in it is a token left out."""

    class Silent:
        def infill(self, token_ids, given, sampling, generators):
            yield WritingStep(token_ids.masked_fill(~given, 0), given | True, given, 1.0, 1)

    prompts, given = gapped_prompts(study.corpus, ["anna the ___ the lake."], 2)
    assert (~given).sum() == 2
    options = {"sampling": None, "seed": 0, "given": given}
    written, _ = write_texts(Silent(), study.corpus, prompts, context, **options)
    assert written.texts == ["the lake."]


def test_a_family_that_sees_one_side_fills_no_gap(study, capsys):
    words = ["infill", f"{study.directory}/gpt2", "--length", "3", "--text", "anna ___ went"]
    assert cli.main(words) == 2
    assert "gpt2 cannot fill a gap: it sees one side; llada, diffusion-lm can" in (
        capsys.readouterr().err
    )


def test_runs_over_the_edges_of_a_gap():
    """Five tokens, a gap of two, five more: runs of four that begin at 2, 3, 4, and 4, 5, 6."""
    assert np.flatnonzero(over_edges(5, 2, 5)).tolist() == [2, 3, 4, 5, 6]
    assert np.flatnonzero(over_edges(4, 8, 4)).tolist() == [1, 2, 3, 9, 10, 11]
    assert np.flatnonzero(over_edges(4, 0, 4)).tolist() == [1, 2, 3]


def test_gaps_are_scored_beside_human_text(study, capsys, monkeypatch):
    """The true middle scores as human text does, and that of another text less."""
    words = ["infill", f"{study.directory}/llada", "--length", "4", "--held-out", "12", "--json"]
    assert cli.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    for kind in ("written", "human", "another", "difference"):
        assert found[kind]["n"] == 12
        assert found[kind]["low"] <= found[kind]["mean"] <= found[kind]["high"]
    assert found["human"]["mean"] > found["another"]["mean"]
    assert found["difference"]["mean"] == pytest.approx(
        found["written"]["mean"] - found["human"]["mean"]
    )
    _, given, texts = held_out_gaps(study.corpus, 4, 12)
    assert ((~given).sum(axis=1) == 4).all()

    class Perfect:
        def infill(self, token_ids, given, sampling, generators):
            filled = token_ids.clone()
            for row, text in zip(filled, texts, strict=True):
                row[: len(text)] = row.new_tensor(text)
            yield WritingStep(filled, given | True, given, 1.0, 1)

    monkeypatch.setattr(infilling, "load_trained", lambda run, place: Perfect())
    assert cli.main(words) == 0
    perfect = json.loads(capsys.readouterr().out)
    assert perfect["written"] == perfect["human"] == found["human"]
    for wrong, message in (
        ([*words[:4], "--json"], "give either --text or --held-out"),
        ([*words, "--text", "anna ___ went"], "give either --text or --held-out"),
        ([*words[:3], "99", *words[4:]], "--length 99: needs a gap of one token or more, and two"),
        (["infill", f"{study.directory}/gpt2", *words[2:]], "gpt2 cannot fill a gap"),
    ):
        assert cli.main(wrong) == 2
        assert message in capsys.readouterr().err


def test_control_is_measured_beside_free_writing(study, capsys):
    """Every number with its interval and n, and a judge that is better than the largest class."""
    label, classes = next(iter(study.corpus.label_names.items()))
    words = ["control", f"{study.directory}/diffusion-lm", "--label", label, "--texts", "6"]
    assert cli.main([*words, "--target", classes[0], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for kind in ("controlled", "free", "difference"):
        assert found[kind]["n"] == 6
        assert found[kind]["low"] <= found[kind]["high"]
    assert found["judge_accuracy"] > found["majority"]
    assert found["texts"]["controlled"] != found["texts"]["free"]
    for wrong, message in (
        ([*words, "--target", "nonsense"], f"--target 'nonsense': {label} has {classes[0]}"),
        ([*words[:2], "--label", "x", "--target", "y"], "--label 'x': the corpus has"),
        (["control", f"{study.directory}/llada", *words[2:], "--target", "y"], "diffusion-lm can"),
        (["control", f"{study.directory}/none", *words[2:], "--target", "y"], "names no generator"),
    ):
        assert cli.main(wrong) == 2
        assert message in capsys.readouterr().err


class SortedCorpus:
    """Both sides hold four classes one after another, each with a word of its own."""

    vocab_size = 5

    def split(self, name):
        self.labels = {"kind": np.repeat(np.arange(4), 3000)}
        return self

    def padded(self, rows):
        token_ids = self.labels["kind"][rows][:, None] + 1
        return token_ids, np.ones_like(token_ids, bool)


def test_the_judge_knows_every_class_of_a_sorted_corpus():
    judge = control._Judge(SortedCorpus(), "kind")
    assert judge.accuracy == 1
    assert judge.majority == 0.25
    assert judge.classes([np.array([kind + 1]) for kind in range(4)]).tolist() == [0, 1, 2, 3]
