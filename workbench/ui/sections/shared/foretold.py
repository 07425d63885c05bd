"""Which number to look at in place of reconstruction: what the documentation's scorecard says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.report.plain_words import plain_words
from workbench.score.directions import ACCURACY
from workbench.ui.sections.shared.published_card import published_card
from workbench.ui.sections.shared.typical_example import PREFIX

if TYPE_CHECKING:
    from analyses.scorecard.row import Estimate

FALLBACK = "generation.nats_per_token"  # where the study's own score was not measured then


def foretold_sentence(label: str, score: str | None) -> str:
    """How well neighbours of the same kind, and reading back, foretold writing; else empty.

    Args:
        label: the kind that is looked at, such as `pos`.
        score: of writing; one that the scorecard lacks gives way to a judge's surprise.
    """
    card = published_card()
    if card is None:
        return ""
    found = {(row.score, row.predictor): row.spearman for row in card.rows}
    scored = score if score and (score, ACCURACY) in found else FALLBACK
    near, read = found.get((scored, PREFIX + label)), found.get((scored, ACCURACY))
    if near is None or near.value is None or read is None:
        return ""
    reading = "were the same in all" if read.value is None else f"with {_text(read)}"
    return (
        f"Over {card.num_arms} autoencoders this share foretold *{plain_words(scored)}* with rank "
        f"correlation {_text(near)}, tokens read back {reading} (page Scorecard)."
    )


def _text(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{found.value:.2f} (no interval: too few differ)"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
