"""The word that pages open on: chosen by a rule, with its neighbours in every space."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench.errors import InputError
from workbench.probes.spaces import CUT_SIDE, Items
from workbench.probes.typical_word import typical_miss, typical_place
from workbench.store.json_files import read_json, write_json
from workbench.study.folders import open_study
from workbench.ui.kit.theme import meaning_of
from workbench.ui.sections.shared import word_company
from workbench.ui.sections.shared.real_miss import sentence_around
from workbench.ui.sections.shared.typical_view import FOLDER
from workbench.ui.sections.shared.word_company import (
    Near,
    company_sentence,
    neighbours_of,
    show_company,
)
from workbench.ui.sections.why.near_miss import NO_KIND, words_of

NAMES = ["the", "dog", "cat", "runs", "dog", "cat", "hat"]
CODES = np.array([0, 1, 1, 2, 1, 1, -1])


def items(*, labelled: bool = True) -> Items:
    line = np.array([9.0, 0.0, 1.0, 3.0, 0.1, 2.0, 30.0], np.float32)
    labels = {"pos": (CODES, ("det", "noun", "verb"))} if labelled else {}
    ids = np.array([NAMES.index(name) for name in NAMES])
    return Items(
        spaces={"none": np.stack([np.cos(line / 40), np.sin(line / 40)], axis=1)},
        hover=NAMES, names=NAMES, labels=labels, texts=["a text"] * 7, ids=ids,
    )  # fmt: skip


def test_words_begin_with_the_one_that_the_rule_chose():
    assert list(words_of(items(), None)) == ["cat", "dog", "hat", "runs", "the"]
    chosen = words_of(items(), 5)
    assert next(iter(chosen.items())) == ("cat", 5)
    assert list(chosen) == ["cat", "dog", "hat", "runs", "the"]


def test_pieces_and_digits_stand_behind_whole_words():
    mixed = replace(items(), names=["##s", "dog", "2", "runs", ",", "éclair", "a"])
    assert list(words_of(mixed, None)) == ["a", "dog", "runs", "éclair", "##s", ",", "2"]


def test_where_a_word_stands_is_no_kind_of_word():
    known = items()
    side = {CUT_SIDE: (np.zeros(7, int), ("context", "target"))}
    assert replace(known, labels=side | known.labels).kind == "pos"
    assert replace(known, labels=side).kind == ""


def test_without_a_kind_of_word_nothing_is_counted(open_page, copied_runs):
    """A corpus of a file has none: neighbours are shown, and no share and no mark beside them."""
    for file in (copied_runs / "smoke").glob("arms/*/*/probes/knn_coherence.json"):
        results = read_json(file)
        dropped = [name for name in results["results"] if ".other_id." in name]
        assert dropped
        for name in dropped:
            del results["results"][name]
        write_json(file, results)
    app = open_page("why", copied_runs)
    assert not app.error
    assert NO_KIND in [caption.value for caption in app.caption]
    columns = [part.proto.body for part in app.get("html") if "<ul" in part.proto.body]
    assert columns
    assert not any("✓" in body for body in columns)


def test_places_of_other_words_are_counted_word_by_word_nearest_first():
    found = neighbours_of(items(), "none", 1, "pos")
    expected = [Near("cat", 2, True), Near("runs", 1, False), Near("the", 1, False)]
    assert found == [*expected, Near("hat", 1, False)]
    assert {near.same for near in neighbours_of(items(labelled=False), "none", 1, "pos")} == {None}
    assert {near.same for near in neighbours_of(items(), "none", 6, "pos")} == {None}


def test_the_rule_picks_the_word_nearest_the_shares_over_all():
    """Word 1 lies nearest both means, word 0 shows too much, word 2 occurs too seldom."""
    ids = np.repeat([0, 1, 2], [6, 12, 1])
    first = np.r_[np.full(6, 0.6), np.tile([0.1, 0.3, 0.2], 4), 0.33]
    second = np.r_[np.full(6, 0.9), np.tile([0.4, 0.6, 0.5], 4), 0.63]
    assert typical_place([first, second], ids) == 7  # its place nearest both means, the first one
    assert typical_place([first[:4], second[:4]], np.arange(4)) == 0  # none is frequent, all tie


def test_the_miss_that_stands_for_all_lies_nearest_the_mean_and_comes_first():
    assert typical_miss(np.array([0.0, 0.3, 0.8, 0.3, 0.6])) == 1  # the mean is .4; ties: the first
    assert typical_miss(np.array([1.0])) == 0


def test_a_sentence_ends_at_its_own_marks():
    text = "Anna ran. She fell! Was it 3.5 miles? Yes"
    for word, sentence in (
        ("Anna", "Anna ran."), ("fell", "She fell!"), ("miles", "Was it 3.5 miles?"),
        ("Was", "Was it 3.5 miles?"), ("Yes", "Yes"),
    ):  # fmt: skip
        start = text.index(word)
        first, last = sentence_around(text, start, start + len(word))
        assert text[first:last].strip() == sentence


@pytest.mark.parametrize("page", ["study", "why"])
def test_a_miss_is_shown_as_the_probe_stored_it(page, open_page, smoke_runs):
    study = open_study(smoke_runs / "smoke")
    shown = [part.proto.body for part in open_page(page, smoke_runs).get("html")]
    words = study.corpus.tokenizer.decode_tokens
    for run in study.runs:
        table = pd.read_parquet(run.probes_dir / "near_misses.same_kind.pos.parquet")
        row = table.iloc[typical_miss(table["near"].to_numpy())]
        meant, nearest, written = words([row["meant"], row["nearest"], row["written"]])
        (column,) = (body for body in shown if f"<b>{run.arm}</b>" in body and "meant" in body)
        assert f"<s>{meant}</s> <b>{written}</b>" in column.lower()
        assert f'point by <b translate="no">{nearest}</b>' in column.lower()
        assert bool(row["same"]) == (f"<b>{written}</b> ✓" in column.lower())


def test_without_stored_misses_the_neighbours_say_it(open_page, copied_runs):
    for file in (copied_runs / "smoke").glob("arms/*/*/probes/near_misses.json"):
        file.unlink()
    app = open_page("study", copied_runs)
    assert not app.error
    shown = [part.proto.body for part in app.get("html")]
    assert not any("meant" in body for body in shown)
    assert any("A miss lands on a neighbour" in text.value for text in app.markdown)


@pytest.mark.parametrize(("after", "shown"), [
    ("", "A miss lands on a neighbour. In **repa** it is more often"),
    ("They miss. Whether it is the same part of speech does not tell the arms apart.",
     "Every word has neighbours, few are missed. In **repa** it is more often"),
    ("They miss. In **repa** it is more often the same part of speech.", None),
])  # fmt: skip
def test_neighbours_say_what_the_misses_did_not(after, shown, monkeypatch):
    told = []
    monkeypatch.setattr(word_company.st, "markdown", told.append)
    selection = SimpleNamespace(arms=("none", "repa"), all_arms=("none", "repa"))
    found = shares(none=(0.1, 0.2), repa=(0.5, 0.6))
    company = {arm: {**own, "n": 100} for arm, own in found.items()}
    show_company(selection, company, {"none": [], "repa": []}, "pos", after=after)
    assert [text.startswith(shown) for text in told] == ([True] if shown else [])


def test_the_rule_needs_places_that_pair():
    with pytest.raises(InputError, match="do not pair"):
        typical_place([np.zeros(3), np.zeros(2)], np.arange(3))
    with pytest.raises(InputError, match="0 places"):
        typical_place([], np.arange(0))


@pytest.mark.parametrize("page", ["study", "why"])
def test_page_shows_the_share_over_all_words_and_its_chance(page, open_page, smoke_runs):
    app = open_page(page, smoke_runs)
    assert not app.error
    shown = " ".join(part.proto.body for part in app.get("html"))
    # Neighbours of both arms and the teacher; misses of both arms.
    assert shown.count("], n ") == 5
    for space in ("none", "repa", "teacher"):  # a name alone tells nothing
        assert f'<b>{space}</b> <span style="opacity:.75">{meaning_of(space)}</span>' in shown
    assert sum("by chance" in caption.value for caption in app.caption) == 2


def test_pages_open_on_the_same_word(open_page, smoke_runs):
    said = [text.value for text in open_page("study", smoke_runs).markdown]
    heading = next(text for text in said if "next to a word" in text)
    word = open_page("why", smoke_runs).selectbox(key="miss").value
    assert word in heading
    asked = open_page("neighbours", smoke_runs).get("html")
    assert any(f">{word} in:</span>" in part.proto.body for part in asked)


def shares(**ends: tuple[float, float]) -> dict[str, dict[str, float]]:
    return {arm: {"score": low, "low": low, "high": high} for arm, (low, high) in ends.items()}


def test_the_sentence_says_what_the_intervals_say():
    arms = ("none", "repa")
    said = company_sentence(arms, shares(none=(0.1, 0.2), repa=(0.5, 0.6)), "pos")
    assert "In **repa** it is more often the same part of speech." in said
    said = company_sentence(arms, shares(none=(0.5, 0.6), repa=(0.1, 0.2)), "pos")
    assert "In **none** it is more often" in said
    said = company_sentence(arms, shares(none=(0.1, 0.3), repa=(0.2, 0.4)), "pos")
    assert "does not tell the arms apart" in said
    assert company_sentence(("none",), shares(none=(0.1, 0.3)), "pos") == ""
    assert company_sentence(arms, shares(none=(0.1, 0.3)), "pos") == ""


def test_the_stored_view_is_shown_again_without_reading_a_space(
    open_page, copied_runs, monkeypatch
):
    def shown(app) -> list[str]:
        return [part.proto.body for part in app.get("html") if "], n " in part.proto.body]

    first = shown(open_page("study", copied_runs))
    assert len(first) == 5
    assert list((copied_runs / FOLDER).iterdir())
    module = "workbench.ui.sections.shared.typical_view.items_of"
    monkeypatch.setattr(module, lambda *_: pytest.fail("a space was read"))
    assert shown(open_page("study", copied_runs)) == first


def test_another_probe_makes_another_view(open_page, copied_runs):
    open_page("study", copied_runs)
    (file,) = (copied_runs / "smoke").glob("arms/repa/*/probes/knn_coherence.json")
    stored = json.loads(file.read_text())
    for name, result in stored["results"].items():
        if name.startswith("knn_coherence.token.other_id."):
            result["score"] = result["low"] = result["high"] = 0.987
    file.write_text(json.dumps(stored))
    shown = " ".join(part.proto.body for part in open_page("study", copied_runs).get("html"))
    assert "99%" in shown


@pytest.mark.parametrize("word", ["", "zebra"])
def test_a_word_that_is_no_option_gives_way(word, open_page, smoke_runs):
    app = open_page("why", smoke_runs, miss=word)
    assert not app.exception
    assert not app.error
    box = app.selectbox(key="miss")
    assert box.value in box.options
