"""The headline follows the ladder, the gate closes below .99, and older studies keep MAUVE."""

from typing import Any

import pytest

from analyses.texts.ladder import RUNGS
from workbench.report.ladder import (
    gate,
    headline_score,
    ladder_of,
    ladder_readings,
    trusted_rows,
)
from workbench.score.directions import ACCURACY, chance_of, direction

SEES = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.1, 0.3, 0.2, 0.4]  # in the order of RUNGS
BLIND = [0.9] * 10


def entry(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "n": 100}


def comparison(accuracy: float = 0.999, rungs: tuple[str, ...] = RUNGS) -> dict[str, Any]:
    scores = {"grammar_sentences": SEES, "mauve[minilm]": BLIND}
    arms = {
        arm: {
            ACCURACY: entry(accuracy),
            **{f"generation.{name}": entry(0.5) for name in scores},
        }
        for arm in ("none", "repa")
    }
    baselines = {
        rung: {f"generation.{name}": entry(values[place]) for name, values in scores.items()}
        for place, rung in enumerate(RUNGS)
        if rung in rungs
    }
    return {"arms": arms, "baselines": baselines}


def test_the_headline_is_what_sees_most():
    document = comparison()
    assert headline_score(document) == "generation.grammar_sentences"
    first, second = trusted_rows(document)
    assert first["score"] == "grammar_sentences"
    assert first["pairs in order"] == "18 of 18"
    assert first["not for"] == "–"
    assert second["trusted for"] == "nothing"
    figure = ladder_of(document)
    assert [*figure.data[0].x][-2:] == ["none", "repa"]


def test_a_headline_that_the_arms_lack_is_not_shown():
    document = comparison()
    for own in document["arms"].values():
        del own["generation.grammar_sentences"]
    assert headline_score(document) == "generation.mauve[minilm]"


def test_a_study_without_the_ladder_keeps_mauve():
    document = comparison(rungs=("human", "shuffled_words", "wrong_source", "prompt_copy"))
    assert ladder_readings(document) == ()
    assert ladder_of(document) is None
    assert headline_score(document) == "generation.mauve[minilm]"


@pytest.mark.parametrize(("accuracy", "closed"), [(0.9899, True), (0.99, False), (1.0, False)])
def test_the_gate_closes_below_its_accuracy(accuracy, closed):
    sentence = gate(comparison(accuracy))
    assert (sentence is not None) is closed
    if sentence:
        assert "not ready to be compared" in sentence
        assert "none 0.9899, repa 0.9899" in sentence


def test_directions_look_before_the_bracket():
    assert direction("mauve[minilm]") is True
    assert direction("c2st[smollm2]") is direction("nats[smollm2]") is False
    assert direction("unigram_entropy") is None
    assert (chance_of("c2st[minilm]"), chance_of("energy[x]"), chance_of("rouge1")) == (
        0.5,
        0,
        None,
    )
