"""Each prompt with every arm's continuation, the human's, and the other generators'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from workbench.score.unseen_words import RULE
from workbench.ui.kit.cached import references_of, unseen_in
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, blocks
from workbench.ui.kit.theme import colours, surface
from workbench.ui.sections.generate.continuations import baseline_texts, write
from workbench.ui.sections.generate.fact_marks import fact_marks, kept_in

if TYPE_CHECKING:
    from workbench.sample.continued import Continuations
    from workbench.ui.kit.selection import Selection
    from workbench.ui.sections.generate.continuations import WritingView

NOTHING = "(no text: the end mark ∎ came first, so it ended at once)"


def write_or_stop(selection: Selection, view: WritingView, row: int) -> dict[str, Continuations]:
    """Arm -> its continuation of the prompt that is read; an arm that fails is a card."""
    written = {}
    for arm, run in selection.runs.items():
        with guarded(f"Arm {arm}"), st.spinner("Writing …", show_time=True):
            written[arm] = write(run, view, row)
    if not written:
        st.stop()
    return written


def prompts_of(selection: Selection, view: WritingView) -> list[str]:
    """The prompts that are continued."""
    return list(view.prompts) or references_of(selection.study).prompts[: view.count]


def show_texts(
    selection: Selection, view: WritingView, row: int, written: Mapping[str, Continuations]
) -> None:
    """One prompt's texts at a time, so that arms are read against each other."""
    palette, grey = colours(selection.all_arms), surface().muted
    others = {} if view.prompts else _others(selection, view.count)
    prompts = prompts_of(selection, view)
    parts = [block(prompts[row], label=f"{row + 1}.", muted=True)]

    def add(name: str, text: str, colour: str) -> None:
        (unseen,) = unseen_in(selection.study, [text])
        parts.append(block(text or NOTHING, label=name, colour=colour, underlined=unseen))

    for arm, own in written.items():
        add(selection.runs[arm].title, own.texts[0].strip(), palette[arm])
        if not view.prompts:
            parts.append(fact_marks(kept_in(selection, row, own.texts[0])))
    for name, texts in others.items():
        add(name, texts[row], grey)
    st.html(blocks(parts, written=True))
    st.caption(RULE)


def chosen_prompt(count: int) -> int:
    """Row of the prompt whose texts are read."""
    numbers = list(range(1, count + 1))
    if st.session_state.get("read") not in (None, *numbers):
        del st.session_state["read"]  # fewer prompts than before
    if count == 1:
        return 0
    read = st.segmented_control("Prompt", numbers, default=1, key="read", bind="query-params")
    return (read or 1) - 1


def _others(selection: Selection, count: int) -> dict[str, Sequence[str]]:
    """What a human, and the study's other generators, wrote next."""
    human = references_of(selection.study).continuations
    return {"human": human, **baseline_texts(selection.study, count)}
