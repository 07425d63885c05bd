"""A study's ladder of known damage: the headline score, and what each score is trusted for.

Also the reconstruction gate: whether the arms are ready to be compared at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analyses.texts.ladder import ORDERS, RUNGS, Reading, headline, read_ladder
from workbench.report.number_text import MISSING, number_text
from workbench.report.writers import writers_of
from workbench.score.directions import ACCURACY, READY_ACCURACY, direction

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from analyses.figures.theme import Theme

FAMILY = "generation."
HEADLINE_RULE = (
    "The headline score is the one that puts the most pairs of rungs in the right order with "
    "intervals apart, then the fewest in the wrong order, then with the widest margin. Scores that "
    "compare with the very text that the rungs are made from cannot be chosen. No arm plays a part "
    "in the choice."
)


def ladder_rungs(comparison: Mapping[str, Any]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Rung -> score, without its family -> {mean, low, high}."""
    baselines = comparison.get("baselines", {})
    return {
        rung: {name.removeprefix(FAMILY): value for name, value in baselines[rung].items()}
        for rung in RUNGS
        if rung in baselines
    }


def ladder_readings(comparison: Mapping[str, Any]) -> tuple[Reading, ...]:
    """How every score orders the study's ladder; empty if a study has only the old controls."""
    rungs = ladder_rungs(comparison)
    if set(rungs) != set(RUNGS):
        return ()
    directions = {name: direction(name) for name in rungs["human"]}
    return read_ladder(rungs, {name: up for name, up in directions.items() if up is not None})


def headline_score(comparison: Mapping[str, Any]) -> str | None:
    """The score, with its family, that the study's ladder chooses.

    Studies from before the ladder use MAUVE.
    """
    names = dict.fromkeys(name for own in comparison["arms"].values() for name in own)
    chosen = headline(ladder_readings(comparison))
    if chosen is not None and FAMILY + chosen in names:
        return FAMILY + chosen
    return next((name for name in names if name.startswith(f"{FAMILY}mauve[")), None)


def trusted_rows(comparison: Mapping[str, Any]) -> list[dict[str, str]]:
    """One row per score: how many pairs it orders, what it is trusted for, what it misses."""
    rows = []
    for reading in ladder_readings(comparison):
        pairs = len(reading.right) + len(reading.wrong) + len(reading.unclear)
        missed = [kind for kind in ORDERS if kind not in reading.trusted]
        rows.append(
            {
                "score": reading.metric,
                "pairs in order": f"{len(reading.right)} of {pairs}",
                "in the wrong order": str(len(reading.wrong)),
                "trusted for": ", ".join(reading.trusted) or "nothing",
                "not for": ", ".join(missed) or MISSING,
                "may be the headline": "yes" if reading.candidate else "no",
            }
        )
    return rows


def ladder_of(
    comparison: Mapping[str, Any], theme: Theme = "light", titles: Mapping[str, str] | None = None
) -> go.Figure | None:
    """The ladder with arms and generators next to its rungs; None for a study without a ladder."""
    from analyses.figures.ladder import ladder_figure

    readings = ladder_readings(comparison)
    if not readings:
        return None
    arms = {
        arm: {name.removeprefix(FAMILY): value for name, value in own.items()}
        for arm, own in writers_of(comparison).items()
    }
    return ladder_figure(
        readings, ladder_rungs(comparison), written=arms, titles=titles, theme=theme
    )


def gate(comparison: Mapping[str, Any]) -> str | None:
    """Why the arms are not ready to be compared; None if they are."""
    low = [
        f"{arm} {number_text(own[ACCURACY]['mean'])}"
        for arm, own in comparison["arms"].items()
        if own.get(ACCURACY, {}).get("mean") is not None and own[ACCURACY]["mean"] < READY_ACCURACY
    ]
    if not low:
        return None
    return (
        f"The arms are not ready to be compared: token accuracy is below {READY_ACCURACY} "
        f"({', '.join(low)}). Train the autoencoders longer first."
    )
