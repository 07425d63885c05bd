"""Facts kept, lost and contradicted, and the controls around a generation score."""

import numpy as np
import pytest

from analyses.texts.fidelity import fidelity, kept_facts
from analyses.texts.generation_controls import CONTROLS, control_texts, derangement

VALUES = {
    "hero": ("Sam", "ann"),
    "friend": ("sam", "ann", "tom"),
    "colour": ("blue", "dark blue", "blue green"),
}
PROMPT = "Sam has a dark blue kite."
REFERENCE = "sam loves the dark blue kite."
FACTS = {"hero": "sam", "friend": "tom", "colour": "dark blue"}


def scores(continuation, **changes):
    setting = {"prompts": [PROMPT], "references": [REFERENCE], "facts": [FACTS], **changes}
    result = fidelity([continuation], fact_values=VALUES, **setting)
    return result.values["fidelity"][0], result.values["contradiction"][0]


@pytest.mark.parametrize(
    ("continuation", "kept", "contradicted"),
    [
        (REFERENCE, 1.0, 0.0),
        ("SAM lost the Dark Blue kite", 1.0, 0.0),
        ("sam smiled", 0.5, 0.0),
        ("sam lost the blue kite", 0.5, 0.5),  # "blue" is not "dark blue"
        ("sam and ann had a dark blue kite", 0.5, 0.5),
        ("sam and tom had a dark blue kite", 1.0, 0.0),  # tom is another field's fact
        ("the samovar was dark blueish", 0.0, 0.0),  # whole words only
        ("", 0.0, 0.0),
    ],
)
def test_known_answers(continuation, kept, contradicted):
    assert scores(continuation) == (kept, contradicted)
    each = kept_facts(continuation, PROMPT, REFERENCE, FACTS, VALUES)
    assert set(each) == {"hero", "colour"}
    assert np.mean(list(each.values())) == kept


def test_a_fact_is_expected_only_where_prompt_and_reference_both_mention_it():
    assert scores("nothing", references=["the end"])[0] != scores("nothing")[0]
    kept, contradicted = scores("ann", references=["the end"])
    assert np.isnan(kept)
    assert contradicted == 0.5
    kept, contradicted = scores("sam", prompts=["once upon a time"])
    assert np.isnan(kept)
    assert np.isnan(contradicted)


def test_the_longest_value_is_the_one_mentioned():
    own = {"colour": "blue"}
    setting = {"prompts": ["a blue kite"], "references": ["a blue kite"], "facts": [own]}
    assert scores("a blue kite", **setting) == (1.0, 0.0)
    assert scores("a blue green kite", **setting) == (0.0, 1.0)


def test_another_fact_of_the_text_is_no_contradiction():
    setting = {"prompts": ["sam met tom"], "references": ["sam and tom ran"]}
    assert scores("tom and sam ran", **setting) == (1.0, 0.0)
    assert scores("tom, sam and ann ran", **setting) == (0.0, 1.0)


def test_per_field_counts():
    result = fidelity(["sam", "ann"], [PROMPT] * 2, [REFERENCE] * 2, [FACTS] * 2, VALUES)
    hero = result.detail["per_field"]["hero"]
    assert hero == {"num_expected": 2, "kept": 0.5, "num_stated": 2, "contradicted": 0.5}
    assert result.detail["num_texts_with_expected_facts"] == 2


def test_values_with_regex_signs_are_taken_literally():
    result = fidelity(
        ["it costs (cheap)"], ["(cheap)"], ["(cheap)"], [{"price": "(cheap)"}],
        {"price": ("(cheap)", "a.c")},
    )  # fmt: skip
    assert result.values["fidelity"][0] == 1.0


PROMPTS = [f"prompt {i} has some words" for i in range(12)]
REFERENCES = [f"reference {i} goes on and on" for i in range(12)]


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_are_deterministic_and_pair(name):
    first = control_texts(name, PROMPTS, REFERENCES, seed=3)
    assert first == control_texts(name, PROMPTS, REFERENCES, seed=3)
    assert len(first) == 12
    assert all(isinstance(text, str) for text in first)
    assert [len(t.split()) for t in first] == [6] * 12


def test_controls_do_what_they_say():
    shuffled = control_texts("shuffled_words", PROMPTS, REFERENCES)
    assert [sorted(t.split()) for t in shuffled] == [sorted(t.split()) for t in REFERENCES]
    assert shuffled != REFERENCES
    wrong = control_texts("wrong_source", PROMPTS, REFERENCES)
    assert sorted(wrong) == sorted(REFERENCES)
    assert all(w != r for w, r in zip(wrong, REFERENCES, strict=True))
    copied = control_texts("prompt_copy", PROMPTS, REFERENCES)
    assert copied[2] == "prompt 2 has some words prompt"
    assert control_texts("human", PROMPTS, REFERENCES) == REFERENCES
    assert control_texts("prompt_copy", [""], ["a b"]) == [""]


@pytest.mark.parametrize("n", [2, 3, 50])
def test_derangement_moves_everything(n):
    moved = derangement(n, np.random.default_rng(0))
    assert sorted(moved) == list(range(n))
    assert np.all(moved != np.arange(n))
