"""One real miss of each arm: the word that was meant, where the point landed, what was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench.probes.typical_word import typical_miss
from workbench.report.plain_words import label_words
from workbench.ui.kit.cached import corpus_of, read_table
from workbench.ui.kit.escape import html_text
from workbench.ui.kit.scan import stamp
from workbench.ui.kit.theme import colours
from workbench.ui.sections.shared.typical_example import known_results
from workbench.ui.sections.shared.word_company import company_sentence, heading, interval_and_n

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

OTHERS = 8
RATE, SAME = "near_misses.rate", "near_misses.same_kind."


@dataclass(frozen=True)
class RealMiss:
    """A word that the flow missed in a sentence of a real text.

    Attributes:
        before: the sentence up to the word that was meant.
        meant: that word, as it stands in the text.
        after: the rest of the sentence.
        nearest: the word whose real latent lies nearest to the flow's point.
        written: what the decoder wrote.
        same: whether that is of the kind that was meant.
        others: the arm's first other misses in the order of the texts: meant, written, same.
    """

    before: str
    meant: str
    after: str
    nearest: str
    written: str
    same: bool
    others: tuple[tuple[str, str, bool], ...]


def show_real_misses(selection: Selection, label: str) -> str:
    """A column per arm, and what they tell; empty, and nothing shown, where an arm has no miss."""
    results = known_results(selection)
    shares = {arm: own.get(SAME + label, {}) for arm, own in results.items()}
    rates = {arm: own.get(RATE, {}) for arm, own in results.items()}
    if any(own.get("score") is None for own in (*shares.values(), *rates.values())):
        return ""
    told = company_sentence(selection.arms, shares, label)
    said = f"The diffusion model finishes a half-noised text and misses a word. {told}"
    st.markdown(said)
    palette = colours(selection.all_arms)
    for column, arm in zip(st.columns(len(shares)), shares, strict=True):
        column.html(_column(arm, palette[arm], real_miss(selection, arm, label), shares[arm]))
    st.caption(_caption(shares, rates, label))
    return said


def real_miss(selection: Selection, arm: str, label: str) -> RealMiss:
    """The miss of an arm that stands for all, by the rule of `typical_miss`."""
    file = selection.runs[arm].probes_dir / f"{SAME}{label}.parquet"
    return _real_miss(str(file), stamp(file), selection)


@st.cache_resource(max_entries=32, show_spinner=False)
def _real_miss(path: str, stamp: tuple[int, int], _selection: Selection) -> RealMiss:
    table = read_table(Path(path))
    place = typical_miss(table["near"].to_numpy(float))
    row, others = table.iloc[place], table.drop(index=place).head(OTHERS)
    corpus = corpus_of(_selection.study)
    words = corpus.tokenizer.decode_tokens
    text = corpus.split("test").texts([int(row["text"])])[0]
    span = corpus.tokenizer.encode_batch([text])[0].offsets[int(row["position"])]
    start, end = (int(place) for place in span)
    first, last = sentence_around(text, start, end)
    nearest, written = words([row["nearest"], row["written"]])
    pairs = zip(
        words(others["meant"].to_numpy()),
        words(others["written"].to_numpy()),
        others["same"],
        strict=True,
    )
    return RealMiss(
        before=text[first:start], meant=text[start:end], after=text[end:last],
        nearest=nearest, written=written, same=bool(row["same"]),
        others=tuple((meant, own, bool(same)) for meant, own, same in pairs),
    )  # fmt: skip


def sentence_around(text: str, start: int, end: int) -> tuple[int, int]:
    """The half-open span of the sentence that holds a half-open span of characters."""
    before = [text.rfind(mark, 0, start) + len(mark) for mark in (". ", "! ", "? ")
              if mark in text[:start]]  # fmt: skip
    after = re.search(r"[.!?](?=\s|$)", text[end:])
    return max(before, default=0), end + after.end() if after else len(text)


def _column(arm: str, colour: str, miss: RealMiss, share: Mapping[str, Any]) -> str:
    others = ", ".join(
        f"<s>{html_text(meant)}</s> {html_text(own)}{' ✓' if same else ''}"
        for meant, own, same in miss.others
    )
    written = f"<b>{html_text(miss.written)}</b>{' ✓' if miss.same else ''}"
    sentence = (
        f"{html_text(miss.before)}<s>{html_text(miss.meant)}</s> {written}{html_text(miss.after)}"
    )
    return (
        f"{heading(arm, colour)}"
        f'<p class="written" style="font-size:1.1rem;margin:.3rem 0">{sentence}</p>'
        f'<div style="font-size:.9rem">meant <b translate="no">{html_text(miss.meant)}</b> → '
        f'point by <b translate="no">{html_text(miss.nearest)}</b> → '
        f'wrote <b translate="no">{html_text(miss.written)}</b></div>'
        f'<div style="margin-top:.2rem"><span style="font-size:1.5rem">{share["score"]:.0%} ✓'
        f'</span> <span style="font-size:.82rem;opacity:.75">of misses '
        f"{interval_and_n(share)}</span></div>"
        f'<div style="font-size:.9rem">others: <span class="written">{others}</span></div>'
    )


def _caption(
    shares: Mapping[str, Mapping[str, Any]], rates: Mapping[str, Mapping[str, Any]], label: str
) -> str:
    chance = next((own["chance"] for own in shares.values() if own.get("chance") is not None), None)
    known = "" if chance is None else f"; by chance {chance:.0%}"
    missed = ", ".join(f"{arm} {own['score']:.1%}" for arm, own in rates.items())
    n = next(iter(rates.values()))["n"]
    return (
        f"✓ the same {label_words(label)}{known}. Missed of {n:,} words: {missed}. "
        "Chosen by a rule: a usual miss."
    )
