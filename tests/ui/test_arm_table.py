"""The sentences of the page Study say what the numbers allow, and no more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workbench.report.plain_words import PLAIN_WORDS, plain_words
from workbench.ui.sections.study.score_tables import ACCURACY, FIDELITY, findings


def comparison(gate: str, fidelity: str, p: float = 0.01) -> dict[str, Any]:
    arms = {
        arm: {ACCURACY: {"mean": 0.99}, FIDELITY: {"mean": mean}}
        for arm, mean in (("none", 0.06), ("repa", 0.4))
    }
    contrasts = [
        {"a": "repa", "b": "none", "metric": ACCURACY, "verdict": gate, "p_holm": p},
        {"a": "repa", "b": "none", "metric": FIDELITY, "verdict": fidelity, "p_holm": p},
    ]
    return {"arms": arms, "contrasts": contrasts}


@pytest.mark.parametrize(
    ("gate", "fidelity", "p", "last"),
    [
        ("not distinguishable", "better", 0.01, "could not have told"),
        ("not distinguishable", "worse", 0.01, "could not have told"),
        ("better", "better", 0.01, "cannot show that it misleads"),
        ("not distinguishable", "not distinguishable", 0.01, "write alike"),
        ("not distinguishable", "better", 0.2, "write alike"),
    ],
)
def test_lesson_is_what_the_numbers_allow(gate, fidelity, p, last):
    lines = findings(comparison(gate, fidelity, p), "none", "repa")
    assert last in lines[-1]


def test_sentences_read_the_same_from_either_side():
    document = comparison("not distinguishable", "better")
    forth, back = findings(document, "none", "repa"), findings(document, "repa", "none")
    assert "repa is better on 1 and worse on 0; 0 cannot" in forth[1]
    assert "none is better on 0 and worse on 1; 0 cannot" in back[1]
    assert "none keeps 6% and repa 40%" in forth[2]


def test_arms_that_were_not_contrasted_are_said_to_be_so():
    document = comparison("not distinguishable", "better")
    document["arms"] |= {"gram": {}, "deep": {}}
    (line,) = findings(document, "gram", "deep")
    assert "its first two, none and repa" in line
    assert "compare STUDY/gram STUDY/deep" in line
    assert findings(document, "gram", "gram") == []
    assert findings(document, "gram", "from-a-bundle") == []


def test_measures_have_plain_words_and_keep_their_name_without():
    assert plain_words("generation.mauve[minilm]").startswith("MAUVE")
    assert plain_words("generation.not_named_yet") == "not named yet"
    assert plain_words("knn_coherence.token.other_id.pos") == (
        "neighbours of the same kind: part of speech"
    )


def test_plain_words_are_of_what_is_measured_and_point_at_its_better_end(smoke_runs):
    rows = json.loads((smoke_runs / "smoke" / "comparison.json").read_text())["contrasts"]
    better = {row["metric"].partition("[")[0]: row["higher_is_better"] for row in rows}
    # The smoke study asks no model from outside.
    assert set(PLAIN_WORDS) - set(better) == {"generation.nats"}
    arrows = {name: words[-1] for name, words in PLAIN_WORDS.items() if words[-1] in "↑↓"}
    known = {name: up for name, up in better.items() if name in PLAIN_WORDS and up is not None}
    assert arrows == {name: "↑" if up else "↓" for name, up in known.items()} | {
        "generation.nats": "↓"
    }
