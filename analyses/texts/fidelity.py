"""Does a continuation keep the facts of its prompt?

Fluency is not fidelity: a generator may write fine sentences about the wrong pencil. On corpora
with known facts two failures are counted: a fact that is not kept, and a fact that is contradicted.
Human references give the ceiling, other prompts' references the floor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from analyses.result import PerText


def fidelity(
    continuations: Sequence[str],
    prompts: Sequence[str],
    references: Sequence[str],
    facts: Sequence[Mapping[str, str]],
    fact_values: Mapping[str, Sequence[str]],
) -> PerText:
    """Per text, the share of expected facts kept and of prompt facts contradicted.

    A fact is *expected* when its value is mentioned in both the prompt and the reference. It is
    *kept* when the continuation mentions the right value and no wrong one. A *wrong* value is
    another value of the same field that is not itself a fact of the text (two fields may draw
    from one list of names). A prompt's fact is *contradicted* when a wrong value appears,
    whether or not the right one does. Values are matched whole, the longest first, ignoring
    case. Both are NaN for a text where they have no denominator; an empty continuation keeps
    nothing.

    Args:
        continuations: Generated texts.
        prompts: Their prompts.
        references: Human continuations of the same prompts.
        facts: Field -> value of every text; fields may be missing.
        fact_values: Field -> every value that it may take.

    Returns:
        `fidelity` and `contradiction`, (n,) in [0, 1]; `detail.per_field` has counts and shares.

    Raises:
        ValueError: If lengths differ, or a text has a field or value that `fact_values` lacks.
    """
    sizes = {len(continuations), len(prompts), len(references), len(facts)}
    if len(sizes) != 1:
        raise ValueError(
            f"{len(continuations)} continuations, {len(prompts)} prompts, {len(references)} "
            f"references and {len(facts)} facts do not pair"
        )
    _check_facts(facts, fact_values)
    n, fields = len(continuations), tuple(fact_values)
    expected, kept = np.zeros((n, len(fields)), bool), np.zeros((n, len(fields)), bool)
    stated, contradicted = expected.copy(), expected.copy()
    for column, name in enumerate(fields):
        pattern = _mention_pattern(fact_values[name])
        for row, own in enumerate(facts):
            right = own.get(name, "").lower()
            if not right or right not in _mentions(pattern, prompts[row]):
                continue
            said = _mentions(pattern, continuations[row])
            wrong = said - {value.lower() for value in own.values()}
            stated[row, column], contradicted[row, column] = True, bool(wrong)
            expected[row, column] = right in _mentions(pattern, references[row])
            kept[row, column] = right in said and not wrong
    return PerText(
        values={
            "fidelity": _share(kept & expected, expected),
            "contradiction": _share(contradicted, stated),
        },
        detail={
            "per_field": {
                name: _field_detail(expected[:, i], kept[:, i], stated[:, i], contradicted[:, i])
                for i, name in enumerate(fields)
            },
            "num_texts_with_expected_facts": int(expected.any(axis=1).sum()),
        },
    )


def kept_facts(
    continuation: str,
    prompt: str,
    reference: str,
    facts: Mapping[str, str],
    fact_values: Mapping[str, Sequence[str]],
) -> dict[str, bool]:
    """Expected field -> whether one continuation keeps it; `fidelity` is the mean of these.

    Args:
        continuation: Generated text.
        prompt: Its prompt.
        reference: Human continuation of the same prompt.
        facts: Field -> value of the text.
        fact_values: Field -> every value that it may take.

    Raises:
        ValueError: If the text has a field or value that `fact_values` lacks.
    """
    _check_facts([facts], fact_values)
    own, kept = {value.lower() for value in facts.values()}, {}
    for name, values in fact_values.items():
        pattern, right = _mention_pattern(values), facts.get(name, "").lower()
        if right and right in _mentions(pattern, prompt) & _mentions(pattern, reference):
            said = _mentions(pattern, continuation)
            kept[name] = right in said and not said - own
    return kept


def _mention_pattern(values: Sequence[str]) -> re.Pattern[str]:
    """Match any of the values as whole words, the longest first ("dark blue" before "blue")."""
    ordered = sorted({value.lower() for value in values}, key=lambda value: (-len(value), value))
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, ordered)) + r")(?!\w)")


def _mentions(pattern: re.Pattern[str], text: str) -> set[str]:
    return set(pattern.findall(text.lower()))


def _check_facts(
    facts: Sequence[Mapping[str, str]], fact_values: Mapping[str, Sequence[str]]
) -> None:
    for name, values in fact_values.items():
        if not values or not all(value.strip() for value in values):
            raise ValueError(f"fact_values[{name!r}] must hold non-empty values, got {values!r}")
    known = {name: {value.lower() for value in values} for name, values in fact_values.items()}
    for row, own in enumerate(facts):
        for name, value in own.items():
            if name not in known:
                raise ValueError(f"facts[{row}] has field {name!r}; known: {sorted(known)}")
            if value and value.lower() not in known[name]:
                raise ValueError(f"facts[{row}].{name} = {value!r} is not among fact_values")


def _share(hits: np.ndarray, of: np.ndarray) -> np.ndarray:
    total = of.sum(axis=1)
    return np.divide(hits.sum(axis=1), total, out=np.full(len(of), np.nan), where=total > 0)


def _field_detail(
    expected: np.ndarray, kept: np.ndarray, stated: np.ndarray, contradicted: np.ndarray
) -> dict[str, float | int]:
    return {
        "num_expected": int(expected.sum()),
        "kept": float(kept[expected].mean()) if expected.any() else np.nan,
        "num_stated": int(stated.sum()),
        "contradicted": float(contradicted[stated].mean()) if stated.any() else np.nan,
    }
