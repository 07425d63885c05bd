"""Predict, then reveal: a page asks first, and shows its answer once the reader has chosen.

The switch is part of the address, so that a teacher can link to it. The truth is read off the
study's own numbers; "no difference can be told" is a possible answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from workbench.report.number_text import MISSING, interval_text, number_text
from workbench.report.predictors import known_directions, metric_direction
from workbench.score.directions import ACCURACY
from workbench.ui.kit.escape import inline
from workbench.ui.sections.study.score_tables import UNCLEAR, is_clear

if TYPE_CHECKING:
    import pandas as pd

    from workbench.sample.playback import Following

NEITHER = "They cannot be told apart"
FEWEST_PLACES = 3
CLASSROOM = "_predict"


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A question with its answer.

    Attributes:
        question: what is asked.
        given: what the reader may know before choosing.
        options: choices.
        truth: one of the options.
        why: one sentence of why, with the numbers.
        table: numbers that may be seen before choosing.
    """

    question: str
    given: str
    options: Sequence[str]
    truth: str
    why: str
    table: pd.DataFrame | None = None


def predict_first(page: str, make: Callable[[], Lesson | str], where: Any = st) -> bool:
    """Whether the page may show its answer: the mode is off, or the reader has chosen.

    Args:
        page: its address, part of the widgets' keys.
        make: the lesson, or why this study has none.
        where: row of controls that holds the switch.
    """
    # Each page has a switch of its own; a class that goes through several sets it once.
    before, on = st.session_state.get(CLASSROOM, (page, False))
    if before != page and "predict" not in st.query_params:
        st.session_state["predict"] = on
    on = where.toggle(
        "Predict first", key="predict", bind="query-params",
        help="For teaching: hides the answer until you have chosen, here and on the other pages "
        "that ask. The page's link keeps it.",
    )  # fmt: skip
    st.session_state[CLASSROOM] = (page, on)
    if not on:
        return True
    lesson = make()
    if isinstance(lesson, str):
        st.info(lesson, icon=":material/school:")
        return True
    with st.container(border=True):
        st.markdown(f"**{inline(lesson.question)}**")
        st.markdown(inline(lesson.given))
        if lesson.table is not None:
            st.dataframe(lesson.table, hide_index=True, key=f"{page}-given", placeholder=MISSING)
        mark = hashlib.sha256(f"{lesson.question}{lesson.given}".encode()).hexdigest()[:12]
        choice = st.radio(
            "Your prediction", lesson.options, index=None, key=f"{page}-guess-{mark}",
            format_func=inline,
        )  # fmt: skip
        if choice is None:
            st.caption("The answer appears below once you have chosen.")
            return False
        _reveal(lesson, choice)
    return True


def _reveal(lesson: Lesson, choice: str) -> None:
    why = inline(lesson.why)
    if choice == lesson.truth:
        st.success(f"**Your prediction held: {inline(lesson.truth)}.** {why}")
    else:
        st.warning(f"**Your prediction did not hold. {inline(lesson.truth)}.** {why}")


def writing_lesson(comparison: Mapping[str, Any], first: str, second: str) -> Lesson | str:
    """Study: which arm writes better, given how well both read back."""
    rows = _scores(comparison, first, second)
    if not rows:
        return "This study has no two arms to predict between; the page shows what it has."
    wins = {arm: [r for r in rows if _winner(r) == arm] for arm in (first, second)}
    most = max(wins, key=lambda arm: len(wins[arm]))
    least = second if most == first else first
    unclear = f"{len(rows) - len(wins[most]) - len(wins[least])} of {len(rows)} scores are unclear"
    if len(wins[most]) == len(wins[least]):
        truth = NEITHER
        why = f"Each is better on {len(wins[most])} scores beyond the noise, and {unclear}."
    else:
        truth = most
        worst = len(wins[least])
        why = (
            f"{most} is better on {len(wins[most])} scores beyond the noise "
            f"({_named(wins[most])}), {least} on {worst}; {unclear}. {_moral(comparison, rows)}"
        )
    return Lesson(
        question="Which arm writes better?",
        given=_gate(comparison, first, second),
        options=(first, second, NEITHER),
        truth=truth,
        why=why,
    )


def generator_lesson(
    comparison: Mapping[str, Any], first: str, second: str, score: str, seed: int
) -> Lesson | str:
    """Why: which of two unnamed autoencoders is the better generator, from reconstruction alone."""
    import pandas as pd

    rows = {row["metric"]: row for row in _rows(comparison, first, second)}
    if score not in rows:
        return "This study has no two arms compared on this score, so there is nothing to predict."
    if metric_direction(score, known_directions(comparison)) is None:
        return "Neither end of this score is the better one, so there is nothing to predict."
    # Which arm stands first is settled by a hash, so that the place gives nothing away.
    digest = hashlib.sha256(f"{first}{second}{seed}{score}".encode()).digest()
    arms = (first, second) if digest[0] % 2 else (second, first)
    labels = dict(zip(arms, ("Autoencoder 1", "Autoencoder 2"), strict=True))
    values = [comparison["arms"][arm] for arm in arms]
    read = [name for name in values[0] if name.startswith("reconstruction.") and name in values[1]]
    table = pd.DataFrame(
        [
            {"reconstruction": name.partition(".")[2].replace("_", " ")}
            | {labels[arm]: interval_text(comparison["arms"][arm][name]) for arm in arms}
            for name in read
        ]
    )
    winner = _winner(rows[score])
    found = " and ".join(
        f"{arm} (autoencoder {n}) {interval_text(comparison['arms'][arm][score])}"
        for n, arm in enumerate(arms, 1)
    )
    end = (
        "Their difference is inside the noise."
        if winner is None
        else "Reconstruction looks at latents that the encoder made; the generator meets others."
    )
    return Lesson(
        question=f"Which is the better generator, by {score.removeprefix('generation.')}?",
        given="All you see is how well each autoencoder reads back its own latents.",
        options=(*labels.values(), NEITHER),
        truth=NEITHER if winner is None else labels[winner],
        why=f"{found}. {end}",
        table=table,
    )


def settling_lesson(followed: Mapping[str, Following], prompt: str) -> Lesson | str:
    """Playback: which arm's words settle first on this prompt."""
    from analyses.statistics.intervals import BootstrapConfig, paired_bootstrap

    if len(followed) != 2:
        return "There is one arm here, so there is nothing to predict; it plays below."
    (first, one), (second, other) = followed.items()
    settled = [one.settled, other.settled]
    both = np.isfinite(settled[0]) & np.isfinite(settled[1])
    if both.sum() < FEWEST_PLACES:
        return f"The two texts share {both.sum()} places: too few to say whose words settle first."
    a, b = (part[both] for part in settled)
    found = paired_bootstrap(a, b, BootstrapConfig())
    clear = found.low is not None and found.high is not None and not found.low <= 0 <= found.high
    truth = NEITHER if not clear else (first if a.mean() < b.mean() else second)
    end = (
        "the interval of the difference holds zero"
        if not clear
        else f"the difference is {number_text(found.difference)} "
        f"[{number_text(found.low)}, {number_text(found.high)}]"
    )
    return Lesson(
        question="Whose words settle first?",
        given=f"Both arms continue this prompt from the same noise: {prompt}",
        options=(first, second, NEITHER),
        truth=truth,
        why=(
            f"A word settles after {a.mean():.0%} of the way in {first} and {b.mean():.0%} in "
            f"{second}, over the {both.sum()} places that both texts have; {end}. A word settles "
            "once the decoder reads the same at every later step; one prompt says little of others."
        ),
    )


def _rows(comparison: Mapping[str, Any], first: str, second: str) -> list[Mapping[str, Any]]:
    pair = {first, second}
    return [r for r in comparison["contrasts"] if {r["a"], r["b"]} == pair and len(pair) == 2]


def _scores(comparison: Mapping[str, Any], first: str, second: str) -> list[Mapping[str, Any]]:
    """Contrasts of generation scores with a better end, at the headline guidance scale."""
    return [
        row
        for row in _rows(comparison, first, second)
        if row["metric"].startswith("generation.")
        and metric_direction(row["metric"], {}) is not None
    ]


def _winner(row: Mapping[str, Any]) -> str | None:
    """The arm that a contrast finds better; None where it cannot tell."""
    if not is_clear(row):
        return None
    return {"better": row["a"], "worse": row["b"]}.get(row["verdict"])


def _gate(comparison: Mapping[str, Any], first: str, second: str) -> str:
    """How well both read back, and whether that is equal."""
    arms = comparison["arms"]
    read = [interval_text(arms[arm].get(ACCURACY, {})) for arm in (first, second)]
    gate = next((r for r in _rows(comparison, first, second) if r["metric"] == ACCURACY), None)
    apart = UNCLEAR if gate is None or not is_clear(gate) else "these differ beyond the noise"
    return f"Tokens read back: {first} {read[0]}, {second} {read[1]}; {apart}."


def _moral(comparison: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    pair = (rows[0]["a"], rows[0]["b"])
    gate = next((r for r in _rows(comparison, *pair) if r["metric"] == ACCURACY), None)
    if gate is not None and is_clear(gate):
        return "They do not read back alike either, so reconstruction is not ruled out as a cause."
    return "Reconstruction could not have told you: it sees only latents that the encoder made."


def _named(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(row["metric"].removeprefix("generation.") for row in rows)
