"""Each prompt with every arm's continuation, the human's, and the other generators'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from workbench.ui.kit.cached import references_of
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


def write_or_stop(selection: Selection, view: WritingView) -> dict[str, Continuations]:
    """Arm -> its continuations; an arm that fails is a card."""
    written = {}
    for arm, run in selection.runs.items():
        with guarded(f"Arm {arm}"):
            written[arm] = write(run, view)
    if not written:
        st.stop()
    return written


def prompts_of(selection: Selection, view: WritingView) -> list[str]:
    """The prompts that are continued."""
    return list(view.prompts) or references_of(selection.study).prompts[: view.count]


def show_texts(
    selection: Selection, view: WritingView, written: Mapping[str, Continuations]
) -> None:
    """One prompt's texts at a time, so that arms are read against each other."""
    palette, grey = colours(selection.all_arms), surface().muted
    others = {} if view.prompts else _others(selection, view.count)
    prompts = prompts_of(selection, view)
    row = _chosen_prompt(len(prompts))
    parts = [block(prompts[row], label=f"{row + 1}.", muted=True)]
    for arm, own in written.items():
        parts.append(
            block(
                own.texts[row].strip() or NOTHING,
                label=selection.runs[arm].title,
                colour=palette[arm],
            )
        )
        if not view.prompts:
            parts.append(fact_marks(kept_in(selection, row, own.texts[row])))
    parts += [block(texts[row], label=name, colour=grey) for name, texts in others.items()]
    st.html(blocks(parts, written=True))
    st.space("small")


def _chosen_prompt(count: int) -> int:
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
