"""Why reconstruction misleads: runs as points, the causes beside them, and a pair to read."""

import streamlit as st

from workbench.findings import Number, selected_rows
from workbench.findings.shown import (
    arm_numbers,
    correlation_numbers,
    probe_numbers,
    text_numbers,
)
from workbench.score_directions import ACCURACY
from workbench.ui.arm_table import metric_names
from workbench.ui.causes import (
    CAUSES,
    arm_deltas,
    correlation,
    correlation_sentence,
    first_reading,
    run_points,
    worse_written_pairs,
)
from workbench.ui.course import trails
from workbench.ui.empty import comparison_or_stop, selection_or_stop
from workbench.ui.engine import metrics_of, references_of
from workbench.ui.escaped import block, blocks
from workbench.ui.exhibits import show_figure, show_reading_table, show_table
from workbench.ui.guard import guarded
from workbench.ui.keeping import keep_this, replayed_rows
from workbench.ui.lessons import generator_lesson, predict_first
from workbench.ui.look import colours, surface, theme
from workbench.ui.plain_words import plain_words
from workbench.ui.probe_tables import results_of

CHECKPOINTS = (
    " Small open marks are the same run's flow at its milestones, from step 0 on, scored on the "
    "first 64 prompts: reconstruction stays where the autoencoder left it, generation moves. They "
    "are no independent runs, so the rank correlation does not count them. An autoencoder's own "
    "milestones are not here, for no generator was trained on them."
)

st.title("Why reconstruction misleads")
selection = selection_or_stop()
comparison = comparison_or_stop(selection)
st.markdown(
    "An autoencoder is judged by how well it reads back what it wrote. A diffusion model that "
    "lives in its latent space meets **other points**: the ends of its own paths. Two spaces can "
    "read back equally well and be very different places to travel in."
)
names = metric_names(comparison)
scores = [n for n in names if n.startswith("generation.")]
preferred = next((n for n in scores if ".mauve[" in n), scores[0])
score = st.selectbox(
    "Generation score", scores, index=scores.index(preferred), key="score", bind="query-params"
)
if not predict_first(
    "why",
    lambda: generator_lesson(comparison, selection.first, selection.second, score, selection.seed),
):
    st.stop()
points = run_points(score)
from analyses.figures.reconstruction_generation import (  # noqa: E402  (after the empty state)
    reconstruction_generation_figure,
)

correlated = correlation(points)
steps = trails(points, score)
asked = st.toggle(
    "Show checkpoints of the flow's training", key="checkpoints", bind="query-params",
    disabled=not steps, help="By `python -m workbench probe RUN --checkpoints`, for valid "
    "n-grams, nats per token and fidelity.",
)  # fmt: skip
show_figure(
    reconstruction_generation_figure(
        [point for own in points.values() for point in own],
        reconstruction_name="reconstruction: share of tokens read back",
        generation_name=plain_words(score),
        theme=theme(),
        trails=steps if asked else (),
    ),
    "reconstruction-generation",
    caption="Each point is a run of any study here. If reconstruction foretold generation, points "
    "would rise from left to right; points above each other read back alike and write unlike. "
    + correlation_sentence(correlated)
    + (CHECKPOINTS if asked and steps else ""),
)

st.subheader("The causes, arm against arm")
st.caption(
    "What the two spaces differ in although both read back well. Every row is measured on the "
    "autoencoder alone, before any generator is trained."
)
results = results_of(selection)
with guarded("The causes"):
    table = arm_deltas(results, selection.arms)
    if len(table):
        whole = st.toggle("Show also what does not part", key="causes", bind="query-params")
        show_reading_table(
            first_reading(table, whole=whole),
            "causes",
            caption="Look for rows where the intervals part while token accuracy does not. "
            f"In {(table['intervals'] != 'apart').sum()} of {len(table)} rows they do not part.",
        )
    else:
        st.info(f"None of {', '.join(CAUSES)} is measured in both arms yet.")

with guarded("The flow's loss"):
    from analyses.figures.loss_floors import loss_figure
    from workbench.ui.causes import loss_curves

    curves = loss_curves({arm: (run, metrics_of(run)) for arm, run in selection.runs.items()})
    if curves:
        show_figure(
            loss_figure(curves, arms=selection.all_arms, theme=theme()),
            "flow-loss",
            caption="Raw losses of two spaces are not comparable: each has floors of its own, set "
            "by its covariance. The right panel is; lower means that more was learnt.",
        )

st.subheader("Where the better reconstructor writes worse")
pair, row, measure = None, 0, ""
with guarded("The pairs"):
    pairs = worse_written_pairs(selection, score)
    if pairs is None or not len(pairs):
        st.info("Neither arm wrote worse than it read on these prompts by this score.")
    else:
        prompts = references_of(selection.study).prompts
        if replayed := replayed_rows(selection, "prompts", len(prompts)):
            st.session_state["_pair"] = prompts[replayed[0]]
        asked = pairs.index[pairs["prompt"] == st.session_state.get("_pair")]
        first = int(asked[0]) if len(asked) else 0
        picked = show_table(
            pairs[["prompt", "score gap"]], "pairs", on_select="rerun",
            selection_mode="single-row",
            selection_default={"selection": {"rows": [first], "columns": [], "cells": []}},
            caption="Prompts by how much worse the better reconstructor did. Pick one, read both.",
        )  # fmt: skip
        rows = picked.selection.rows if picked else []
        pair = pairs.iloc[rows[0] if rows else first]
        row, measure = prompts.index(pair["prompt"]), pairs.attrs["score"]
        palette = colours(selection.all_arms)
        parts = [block(pair["prompt"], label="prompt", muted=True)]
        parts += [
            block(pair[arm], label=f"{arm} ({pair[arm + ' score']:.3g})", colour=palette[arm])
            for arm in selection.arms
        ]
        parts.append(block(pair["reference"], label="human", colour=surface().muted))
        st.html(blocks(parts))


def shown_numbers() -> list[Number]:
    """Scores of the arms, the correlation over runs, causes, and the pair that is read."""
    numbers = arm_numbers(comparison, selection.arms, [ACCURACY, score])
    numbers += correlation_numbers(correlated, score, list(points))
    numbers += probe_numbers(results, selection.seed, tuple(CAUSES))
    if pair is not None:
        values = {arm: pair[f"{arm} score"] for arm in selection.arms}
        numbers += text_numbers(values, selection.seed, measure, row)
    return numbers


keep_this(
    selection,
    "why",
    shown_numbers,
    chosen=lambda: None if pair is None else selected_rows("prompts", [row], [pair["prompt"]]),
    shown={"score": score},
)
