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
    from workbench.sample.continuations import Continuations
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
    """One block per prompt."""
    palette, grey = colours(selection.all_arms), surface().muted
    others = {} if view.prompts else _others(selection, view.count)
    for row, prompt in enumerate(prompts_of(selection, view)):
        parts = [block(prompt, label=f"{row + 1}.", muted=True)]
        for arm, own in written.items():
            parts.append(block(own.texts[row].strip() or NOTHING, label=arm, colour=palette[arm]))
            if not view.prompts:
                parts.append(fact_marks(kept_in(selection, row, own.texts[row])))
        parts += [block(texts[row], label=name, colour=grey) for name, texts in others.items()]
        st.html(blocks(parts))
        st.space("small")


def _others(selection: Selection, count: int) -> dict[str, Sequence[str]]:
    """What a human, and the study's other generators, wrote next."""
    human = references_of(selection.study).continuations
    return {"human": human, **baseline_texts(selection.study, count)}
