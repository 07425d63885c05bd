"""Predict first: the answer is hidden until a choice, and the truth is the study's own."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from workbench.ui.sections.shared.predict_first import (
    NEITHER,
    Lesson,
    generator_lesson,
    settling_lesson,
    writing_lesson,
)

PAGES = ["study", "why", "playback"]


def shown(app: Any) -> int:
    """Pieces of the answer that the page shows: figures, players."""
    return len(app.get("plotly_chart")) + len(app.get("iframe"))


def verdict_of(app: Any) -> str:
    return " ".join(e.value for e in (*app.success, *app.warning) if "prediction" in e.value)


@pytest.mark.parametrize("page", PAGES)
def test_answer_is_hidden_until_the_choice(page, open_page, smoke_runs):
    assert shown(open_page(page, smoke_runs)) > 0
    app = open_page(page, smoke_runs, predict="true")
    assert not app.exception
    assert not app.error
    (radio,) = app.radio
    assert shown(app) == 0
    assert radio.value is None
    assert not verdict_of(app)
    for choice in radio.options:
        app.radio[0].set_value(choice).run()
        assert not app.exception
        assert shown(app) > 0
        assert verdict_of(app)


@pytest.mark.parametrize("page", PAGES)
def test_switch_is_part_of_the_address(page, open_page, smoke_runs):
    app = open_page(page, smoke_runs)
    assert not app.radio
    switch = app.toggle(key="predict")
    assert switch.proto.query_param_key == "predict"
    switch.set_value(True).run()
    assert app.radio


@pytest.mark.parametrize("page", ["study", "why"])
def test_study_without_contrasts_says_so_and_shows_what_it_has(page, open_page, copied_runs):
    file = copied_runs / "smoke" / "comparison.json"
    document = json.loads(Path(file).read_text())
    document["contrasts"] = []
    file.write_text(json.dumps(document))
    app = open_page(page, copied_runs, predict="true")
    assert not app.exception
    assert not app.radio
    assert shown(app) > 0
    assert any("no two arms" in info.value for info in app.info)


@pytest.mark.parametrize(("verdict", "truth"), [("better", "repa"), ("worse", "none")])
def test_page_reveals_the_truth_of_the_stored_comparison(verdict, truth, open_page, copied_runs):
    file = copied_runs / "smoke" / "comparison.json"
    document = json.loads(Path(file).read_text())
    for row in document["contrasts"]:
        assert (row["a"], row["b"]) == ("repa", "none")
        row.update(verdict=verdict, p_holm=0.001)
    file.write_text(json.dumps(document))
    app = open_page("study", copied_runs, predict="true")
    app.radio[0].set_value(truth).run()
    assert any(f"held: {truth}" in part.value for part in app.success)
    app.radio[0].set_value(NEITHER).run()
    assert any(f"did not hold. {truth}" in part.value for part in app.warning)


def comparison(**verdicts: str) -> dict[str, Any]:
    """Two arms; score -> verdict of b against a (`repa` against `none`)."""
    value = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 9}
    names = ["reconstruction.token_accuracy", *(f"generation.{name}" for name in verdicts)]
    contrasts = [
        {
            "a": "repa", "b": "none", "metric": f"generation.{name}", "p_holm": 0.01,
            "difference": 0.1, "low": 0.05, "high": 0.2, "n": 9, "verdict": verdict,
        }
        for name, verdict in verdicts.items()
    ]  # fmt: skip
    return {
        "arms": {arm: dict.fromkeys(names, value) for arm in ("none", "repa")},
        "contrasts": contrasts,
    }


UNCLEAR = "not distinguishable"


@pytest.mark.parametrize(
    ("verdicts", "truth"),
    [
        ({"fidelity": "better", "rouge1": UNCLEAR}, "repa"),
        ({"fidelity": "worse", "rouge1": "worse"}, "none"),
        ({"fidelity": UNCLEAR, "rouge1": UNCLEAR}, NEITHER),
        ({"fidelity": "better", "rouge1": "worse"}, NEITHER),
    ],
)
def test_better_writer_is_who_wins_more_clear_scores(verdicts, truth):
    lesson = writing_lesson(comparison(**verdicts), "none", "repa")
    assert isinstance(lesson, Lesson)
    assert lesson.truth == truth
    assert truth in lesson.options


def test_p_after_holm_decides_what_is_clear():
    found = comparison(fidelity="better")
    found["contrasts"][0]["p_holm"] = 0.2
    lesson = writing_lesson(found, "none", "repa")
    assert isinstance(lesson, Lesson)
    assert lesson.truth == NEITHER


def test_unnamed_autoencoders_hide_the_arms_until_the_end():
    lesson = generator_lesson(
        comparison(fidelity="better"), "none", "repa", "generation.fidelity", 0
    )
    assert isinstance(lesson, Lesson)
    before = " ".join([lesson.question, lesson.given, *lesson.options, lesson.table.to_csv()])
    assert "repa" not in before
    assert "none" not in before
    number = lesson.options.index(lesson.truth) + 1
    assert f"repa (autoencoder {number})" in lesson.why
    unclear = generator_lesson(comparison(rouge1=UNCLEAR), "none", "repa", "generation.rouge1", 0)
    assert unclear.truth == NEITHER
    places = {
        generator_lesson(
            comparison(fidelity="better"), "none", "repa", "generation.fidelity", s
        ).truth
        for s in range(12)
    }
    assert len(places) == 2


def test_score_without_a_better_end_is_no_lesson():
    found = comparison(length="higher")
    assert isinstance(generator_lesson(found, "none", "repa", "generation.length", 0), str)
    assert isinstance(writing_lesson(found, "none", "repa"), str)
    assert isinstance(writing_lesson(found, "none", "none"), str)


@pytest.mark.parametrize(
    ("early", "late", "truth"),
    [
        ([0.1, 0.2, 0.1, 0.2, 0.1], [0.8, 0.9, 0.7, 0.9, 0.8], "a"),
        ([0.8, 0.9, 0.7, 0.9, 0.8], [0.1, 0.2, 0.1, 0.2, 0.1], "b"),
        ([0.1, 0.9, 0.1, 0.9, 0.5], [0.9, 0.1, 0.9, 0.1, 0.5], NEITHER),
    ],
)
def test_who_settles_first_is_read_off_the_two_texts(early, late, truth):
    followed = {
        name: SimpleNamespace(settled=np.array([*values, np.nan]))
        for name, values in (("a", early), ("b", late))
    }
    lesson = settling_lesson(followed, "a prompt")
    assert isinstance(lesson, Lesson)
    assert lesson.truth == truth
    assert "5 places" in lesson.why
    assert isinstance(settling_lesson({"a": followed["a"]}, "a prompt"), str)
    short = {name: SimpleNamespace(settled=np.array([0.5, np.nan])) for name in "ab"}
    assert "too few" in settling_lesson(short, "a prompt")


def test_switch_goes_along_to_the_next_page_and_back(open_page, smoke_runs):
    app = open_page("study", smoke_runs)

    def switched_on(page: str) -> bool:
        app.switch_page(f"workbench/ui/pages/{page}.py").run()
        assert bool(app.radio) == app.toggle(key="predict").value
        return app.toggle(key="predict").value

    app.toggle(key="predict").set_value(True).run()
    assert switched_on("why")
    app.toggle(key="predict").set_value(False).run()
    assert not switched_on("study")
    assert not switched_on("why")
