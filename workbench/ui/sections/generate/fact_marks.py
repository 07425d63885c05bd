"""Which of a prompt's facts a continuation keeps, marked beside the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.ui.kit.cached import corpus_of, references_of
from workbench.ui.kit.escape import html_text

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection


def kept_in(selection: Selection, row: int, text: str) -> list[tuple[str, bool]]:
    """Each expected fact of a held-out prompt, and whether the text keeps it.

    Empty where no fact of the prompt returns in what a human wrote next.
    """
    from analyses.texts.fidelity import kept_facts

    known, corpus = references_of(selection.study), corpus_of(selection.study)
    facts = known.facts[row]
    if not facts:
        return []
    prompt, reference = known.prompts[row], known.continuations[row]
    kept = kept_facts(text, prompt, reference, facts, corpus.fact_values)
    return [(facts[name], is_kept) for name, is_kept in kept.items()]


def fact_marks(kept: Sequence[tuple[str, bool]]) -> str:
    """A line of HTML: how many facts are kept, then each, marked kept or lost."""
    if not kept:
        return ""
    marks = "".join(
        f' <b style="margin-left:.5em">✓ {html_text(value)}</b>'
        if is_kept
        else f' <span style="margin-left:.5em">✗ <s>{html_text(value)}</s></span>'
        for value, is_kept in kept
    )
    count = f"Facts kept: {sum(is_kept for _, is_kept in kept)} of {len(kept)}"
    return f'<p style="margin:0 0 .4rem .75rem;font-size:.85rem;opacity:.8">{count}{marks}</p>'
