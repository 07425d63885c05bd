"""One word's neighbours in every space, beside the share over all words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from workbench.probes.spaces import TEACHER, nearest_items
from workbench.report.plain_words import label_words
from workbench.ui.kit.escape import html_text
from workbench.ui.kit.theme import colours, meaning_of, surface
from workbench.ui.sections.shared.held_out import key_of

if TYPE_CHECKING:
    from workbench.probes.spaces import Items
    from workbench.ui.kit.selection import Selection
    from workbench.ui.sections.shared.typical_example import Typical

SHOWN = 10  # as many as the probe counts, so that the list and the share say the same


@dataclass(frozen=True)
class Near:
    """A neighbouring word: how many of its places are near, and whether it is of the same kind.

    `same` is None where the corpus does not know the kind.
    """

    word: str
    count: int
    same: bool | None


def neighbours_of(items: Items, space: str, row: int, label: str) -> list[Near]:
    """The nearest places of other words, grouped by word, nearest word first."""
    company = nearest_items(
        items, space, items.spaces[space][row], SHOWN, own=row, other_words=True
    )
    codes, _ = items.labels.get(label, (np.full(len(items.names), -1), ()))
    found: dict[str, list[int]] = {}
    for other in company.rows:
        found.setdefault(items.names[other], []).append(other)
    return [
        Near(word, len(rows), bool(codes[rows[0]] == codes[row]) if codes[row] >= 0 else None)
        for word, rows in found.items()
    ]


Shares = Mapping[str, Mapping[str, Any]]


def shares_of(selection: Selection, items: Items, typical: Typical) -> dict[str, Any]:
    """Arm or teacher -> share over all words, with interval and n; chance for arms."""
    shares = {
        arm: {part: own.get(part) for part in ("score", "low", "high", "chance", "n")}
        for arm, own in typical.shares.items()
    }
    if TEACHER in items.spaces:
        shares[TEACHER] = _teacher_share(key_of(selection, "tokens"), typical.label, items)
    return shares


def show_company(
    selection: Selection,
    shares: Shares,
    near: Mapping[str, Sequence[Near]],
    label: str,
    *,
    after: str = "",
) -> None:
    """A column per space: its share, and this word's nearest other words.

    What the shares say stands above, unless it was told before (`after`) of the misses.
    """
    said = company_sentence(selection.arms, shares, label)
    if said and not after.endswith(said):
        few = "Every word has neighbours, few are missed."
        st.markdown(f"{few if after else 'A miss lands on a neighbour.'} {said}")
    palette = {**colours(selection.all_arms), TEACHER: surface().muted}
    for column, space in zip(st.columns(len(near)), near, strict=True):
        share = _share(shares[space]) if space in shares else ""
        column.html(_column(space, palette[space], share, near[space]))


def _column(space: str, colour: str, share: str, near: Sequence[Near]) -> str:
    words = "".join(_word(other) for other in near)
    own = sum(other.count for other in near if other.same)
    known = any(other.same is not None for other in near)
    of_this = f"{own} of {sum(n.count for n in near)}" if known else ""
    return (
        f"{heading(space, colour)}{share}"
        f'<div style="margin-top:.4rem;font-size:.9rem">{of_this}</div>'
        f'<ul style="margin:.1rem 0 0;padding-left:1.1rem;line-height:1.45">{words}</ul>'
    )


def heading(space: str, colour: str) -> str:
    """A column's head in its colour: the arm or the teacher, and what that is."""
    return (
        f'<div style="border-top:3px solid {colour};padding-top:.3rem"><b>{html_text(space)}</b> '
        f'<span style="opacity:.75">{html_text(meaning_of(space))}</span></div>'
    )


def _share(overall: Mapping[str, Any]) -> str:
    """The share over all words in large figures, with its interval."""
    return (
        f'<div style="font-size:1.7rem;line-height:1.2">{overall["score"]:.0%} ✓</div>'
        f'<div style="font-size:.82rem;opacity:.75">{interval_and_n(overall)}</div>'
    )


def interval_and_n(share: Mapping[str, Any]) -> str:
    """The interval of a share, where it has one, and its n."""
    low, high = share.get("low"), share.get("high")
    interval = "" if low is None or high is None else f"[{low:.0%}, {high:.0%}], "
    return f"{interval}n {share['n']:,}"


def _word(near: Near) -> str:
    times = f" × {near.count}" if near.count > 1 else ""
    text = f"{html_text(near.word)}{times}"
    if near.same is None:
        return f"<li>{text}</li>"
    if near.same:
        return f'<li><b>{text}</b> <span aria-label="same kind">✓</span></li>'
    return f'<li style="opacity:.65">{text}</li>'


@st.cache_data(max_entries=16, show_spinner=False)
def _teacher_share(key: str, label: str, _items: Items) -> dict[str, Any]:
    """The same share in the teacher's space, which no probe of an arm stores."""
    from analyses.spaces.knn_coherence import KnnCoherenceConfig, knn_coherence

    config = KnnCoherenceConfig(level="token.other_id", num_permutations=1)
    codes, _ = _items.labels[label]
    found = knn_coherence(_items.spaces[TEACHER], codes, config, exclude=_items.ids)
    return {"score": found.score, "low": found.low, "high": found.high, "n": found.n}


def company_sentence(arms: Sequence[str], shares: Shares, label: str) -> str:
    """What the shares of two arms say of a generator's near miss; empty where one is unknown."""
    if len(arms) != 2 or not all(arm in shares for arm in arms):
        return ""
    kind = label_words(label)
    low, high = sorted(arms, key=lambda arm: shares[arm]["score"])
    above, below = shares[low].get("high"), shares[high].get("low")
    if above is None or below is None or above >= below:
        return f"Whether it is the same {kind} does not tell the arms apart."
    return f"In **{high}** it is more often the same {kind}."


def company_caption(shares: Shares, label: str) -> str:
    """What the columns show, and the chance beside them."""
    chance = next((own.get("chance") for own in shares.values()), None)
    known = "" if chance is None else f"; by chance {chance:.0%}"
    return (
        f"Large: over all words, the share of nearest other words of the same "
        f"{label_words(label)} (✓){known}."
    )
