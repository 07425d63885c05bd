"""Floors and ceilings for generation scores: what scores mean without any model.

Each control makes continuations from human text alone; score them with the same functions as
an arm's. `human` is the ceiling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

Control = Callable[[Sequence[str], Sequence[str], np.random.Generator], list[str]]


def human(prompts: Sequence[str], references: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return the references themselves: what a perfect writer with luck would score."""
    return list(references)


def shuffled_words(
    prompts: Sequence[str], references: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """Shuffle the words of each reference: right words, no order."""
    return [" ".join(rng.permutation(np.array(text.split(), dtype=object))) for text in references]


def swapped_words(share: float) -> Control:
    """Exchange adjacent words in this share of the places of each reference, each word once."""

    def control(
        prompts: Sequence[str], references: Sequence[str], rng: np.random.Generator
    ) -> list[str]:
        return [_swapped(text.split(), share, rng) for text in references]

    return control


def _swapped(words: list[str], share: float, rng: np.random.Generator) -> str:
    place = 0
    for drawn in rng.random(max(len(words) - 1, 0)) < share:
        if drawn and place + 1 < len(words):
            words[place], words[place + 1] = words[place + 1], words[place]
            place += 1
        place += 1
    return " ".join(words)


def wrong_source(
    prompts: Sequence[str], references: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """Give every prompt the reference of another: fluent, unfaithful."""
    return [references[i] for i in derangement(len(references), rng)]


def prompt_copy(
    prompts: Sequence[str], references: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """Repeat the prompt's words, cyclically, up to the reference's number of words."""
    return [
        " ".join(np.resize(np.array(prompt.split(), dtype=object), len(text.split())))
        if prompt.split()
        else ""
        for prompt, text in zip(prompts, references, strict=True)
    ]


CONTROLS: Mapping[str, Control] = {
    "human": human,
    "swap_2": swapped_words(0.02),
    "swap_10": swapped_words(0.10),
    "swap_30": swapped_words(0.30),
    "shuffled_words": shuffled_words,
    "wrong_source": wrong_source,
    "prompt_copy": prompt_copy,
}


def control_texts(
    name: str, prompts: Sequence[str], references: Sequence[str], *, seed: int = 0
) -> list[str]:
    """Continuations of the named control, one per prompt, deterministic under `seed`.

    Raises:
        ValueError: If the name is unknown (the choices are listed) or the lists do not pair.
    """
    if name not in CONTROLS:
        raise ValueError(f"unknown control {name!r}; choose one of {', '.join(CONTROLS)}")
    if len(prompts) != len(references):
        raise ValueError(f"{len(prompts)} prompts do not pair with {len(references)} references")
    return CONTROLS[name](prompts, references, np.random.default_rng(seed))


def derangement(n: int, rng: np.random.Generator) -> np.ndarray:
    """Random permutation (n,) that leaves no item in place: a shift along one random cycle.

    Raises:
        ValueError: If n < 2, where none exists.
    """
    if n < 2:
        raise ValueError(f"wrong_source needs at least 2 texts, got {n}")
    order = rng.permutation(n)
    shifted = np.empty(n, dtype=np.int64)
    shifted[order] = np.roll(order, 1)
    return shifted
