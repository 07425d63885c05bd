"""What the two spaces differ in, measured on the autoencoders alone, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench.report.number_text import interval_text, number_text
from workbench.report.plain_words import result_words
from workbench.score.directions import ACCURACY
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_reading_table
from workbench.ui.sections.shared.stored_results import Results

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.kit.selection import Selection


# Result name, or its beginning -> what it is, its unit and its better end. The order is fixed.
CAUSES: Mapping[str, str] = {
    ACCURACY: ("The gate: share of tokens read back. Equal here is where the story starts."),
    "knn_coherence.token.other_id": (
        "Share of a word's nearest latents, those of other words only, that have its label. Where "
        "it is high, a near miss still lands on a word of the right kind. Chance is the same for "
        "shuffled labels; below it, words of other kinds stand nearer than by luck."
    ),
    "linear_separability": (
        "Share of held-out words, sentences or texts whose label a straight cut through the "
        "latents tells. In the short stories of docs/evidence/alignments.md, those from spaces "
        "whose tense could not be told changed it midway."
    ),
    "learnability": (
        "How much of the next latents a linear map of the prompt's foretells (R², 1 = all). More "
        "is easier to learn."
    ),
    "velocity_information": (
        "Variance a dimension that the ways from noise to the latents still have once the label, "
        "or the context, is known; no flow is trained for it. Less is an easier path."
    ),
    "decoder_basin.r50": (
        "How far, in standard deviations of the latents, a latent may be off before half of the "
        "words are read as others. More forgives more."
    ),
    "decoder_basin.margin": (
        "How far the decoder's first choice is ahead of the second, in nats (natural-log units: 1 "
        "nat is 2.7 to 1). More is surer."
    ),
    "manifold_continuity": (
        "Whether the middle between two texts is still text: Fréchet distance and nats per token "
        "(less is better), share of valid 4-grams (more is)."
    ),
    "scale.log_snr": (
        "How large the latents are against the encoder's own noise, in nats. Neither end is "
        "better by itself."
    ),
    "floor.velocity": (
        "Loss (velocity variance a dimension) of an ideal flow that knows only how the latents "
        "spread. Neither end is better by itself."
    ),
    "intrinsic_dimension": (
        "How many directions a point's neighbourhood has. Neither end is better by itself."
    ),
    "isotropy": (
        "Whether all directions are used alike (a cosine, or a log potential): lower is more even."
    ),
}


def meaning_of(name: str) -> str:
    """What a result is, for someone who never read the paper."""
    return CAUSES[next(prefix for prefix in CAUSES if name.startswith(prefix))]


def show_causes(selection: Selection, results: Mapping[str, Results]) -> None:
    """The table of causes: at first the gate and what parts the arms, then everything."""
    with guarded("The causes"):
        table = arm_deltas(results, selection.arms)
        if not len(table):
            st.info(f"None of {', '.join(CAUSES)} is measured in both arms yet.")
            return
        whole = st.toggle("Show all, with their meaning", key="causes", bind="query-params")
        show_reading_table(
            first_reading(table, whole=whole),
            "causes",
            caption="Measured on the autoencoders alone. *Favours*: the arm at the better end, "
            f"where the intervals part. {causes_sentence(table, selection.arms)} At first only "
            "those are shown where the arms part. Two runs cannot "
            "settle which of them is a cause; the page Scorecard holds each against many arms.",
            files=table,
        )


def arm_deltas(results: Mapping[str, Mapping[str, Any]], arms: Sequence[str]) -> pd.DataFrame:
    """A row a cause that both arms have measured: each arm's number, and whether they part."""
    import pandas as pd

    names = [
        name
        for prefix in CAUSES
        for name in sorted(results[arms[0]])
        if name.startswith(prefix) and name in results[arms[-1]]
    ]
    rows = []
    for name in dict.fromkeys(names):
        values = [results[arm][name] for arm in arms]
        if any(value.get("score") is None for value in values):
            continue
        rows.append(
            {
                "measure": result_words(name),
                **{
                    arm: interval_text({**v, "mean": v["score"]})
                    for arm, v in zip(arms, values, strict=True)
                },
                "intervals": _parted(values),
                "favours": _favoured(arms, values),
                "chance": number_text(values[0].get("chance")),
                "what it means": meaning_of(name),
                "name": name,
            }
        )
    # Where the flow learns the means, a space with and without the encoder's noise is one space.
    table = pd.DataFrame(rows)
    same = [*dict.fromkeys(arms), "what it means"]
    return table.drop_duplicates(subset=same, ignore_index=True) if rows else table


def _favoured(arms: Sequence[str], values: Sequence[Mapping[str, Any]]) -> str:
    """The arm at the better end, where there is one and the intervals part."""
    if _parted(values) != "apart":
        return "neither"
    higher = values[0].get("higher_is_better")
    if higher is None:
        return "no better end"
    return arms[0] if (values[0]["score"] > values[-1]["score"]) == higher else arms[-1]


def causes_sentence(table: pd.DataFrame, arms: Sequence[str]) -> str:
    """How many rows favour which arm, so that nobody reads a proof into a list."""
    rows = table[table["name"] != ACCURACY]
    counts = [f"{int((rows['favours'] == arm).sum())} favour {arm}" for arm in arms]
    rest = int((~rows["favours"].isin(arms)).sum())
    return f"Of {len(rows)} rows {', '.join(counts)}, and {rest} favour neither."


def first_reading(table: pd.DataFrame, *, whole: bool) -> pd.DataFrame:
    """The table of causes as it is read.

    If `whole`, every row, each meaning once where its rows begin, then ditto marks. Otherwise the
    gate and the rows in which the arms part, without their meanings.
    """
    kept = table[whole | (table["name"] == ACCURACY) | (table["intervals"] == "apart")]
    repeated = kept["what it means"] == kept["what it means"].shift()
    shown = kept.assign(**{"what it means": kept["what it means"].mask(repeated, "″")})
    return shown.drop(columns=["intervals", "name", *([] if whole else ["what it means"])])


def _parted(values: Sequence[Mapping[str, Any]]) -> str:
    first, last = values[0], values[-1]
    if None in (first.get("low"), first.get("high"), last.get("low"), last.get("high")):
        return "unknown"
    apart = first["high"] < last["low"] or last["high"] < first["low"]
    return "apart" if apart else "overlap"
