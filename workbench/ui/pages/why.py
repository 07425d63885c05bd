"""Why reconstruction misleads: runs as points, the causes beside them, and a pair to read."""

import streamlit as st

from workbench.report.findings import Number, selected_rows
from workbench.report.findings.shown import (
    arm_numbers,
    correlation_numbers,
    probe_numbers,
    text_numbers,
)
from workbench.score.directions import ACCURACY
from workbench.ui.kit.cached import metrics_of, references_of
from workbench.ui.kit.empty_state import comparison_or_stop, selection_or_stop
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, blocks
from workbench.ui.kit.figures import show_figure, show_reading_table, show_table
from workbench.ui.kit.keep_finding import keep_this, replayed_rows
from workbench.ui.kit.plain_words import plain_words
from workbench.ui.kit.theme import colours, surface, theme
from workbench.ui.sections.arm_table import metric_names
from workbench.ui.sections.causes import (
    CAUSES,
    arm_deltas,
    causes_sentence,
    correlation,
    correlation_sentence,
    end_distances,
    far_sentence,
    first_reading,
    run_points,
    worse_written_pairs,
)
from workbench.ui.sections.course import trails
from workbench.ui.sections.lessons import generator_lesson, predict_first
from workbench.ui.sections.near_miss import show_near_miss
from workbench.ui.sections.probe_tables import missing_note, results_of

BY_EYE = ("fidelity", "valid_4gram")
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
    "An autoencoder is judged by how well its decoder reads latents that **its own encoder** made. "
    "A diffusion model hands the decoder **other points**: the ends of its own paths, most of "
    "them off by a little, some by much. Reconstruction never looks at those. Two spaces can read "
    "back equally well and differ in what a near miss means: whether the latents nearby are words "
    "of the same kind, or any words."
)
names = metric_names(comparison)
scores = [n for n in names if n.startswith("generation.")]
# A fixed order, whatever a study finds: what a reader can check by eye stands first.
preferred = next(n for n in (*(f"generation.{name}" for name in BY_EYE), *scores) if n in scores)
score = st.selectbox(
    "Generation score", scores, index=scores.index(preferred), key="score", bind="query-params",
    help="The figure's axis says it in plain words; the arrow points at its better end.",
)  # fmt: skip
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
with_steps = st.toggle(
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
        trails=steps if with_steps else (),
    ),
    "reconstruction-generation",
    caption="Each point is a run of any study here. If reconstruction foretold generation, points "
    "would rise from left to right; points above each other read back alike and write unlike. "
    + correlation_sentence(correlated)
    + (CHECKPOINTS if with_steps and steps else ""),
)

st.subheader("Read one pair")
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
            pairs[["prompt", "score gap"]].rename(
                columns={"score gap": f"gap in {pairs.attrs['score']}"}
            ),
            "pairs", on_select="rerun",
            selection_mode="single-row",
            selection_default={"selection": {"rows": [first], "columns": [], "cells": []}},
            caption=f"Prompts by how much worse **{pairs.attrs['better']}** did, which reads back "
            f"at least as well; so in {pairs.attrs['count']} of {pairs.attrs['known']} prompts. "
            "Pick one and read both: same prompt, same starting noise.",
        )  # fmt: skip
        rows = picked.selection.rows if picked else []
        pair = pairs.iloc[rows[0] if rows else first]
        row, measure = prompts.index(pair["prompt"]), pairs.attrs["score"]
        palette = colours(selection.all_arms)
        parts = [block(pair["prompt"], label="prompt", muted=True)]
        parts += [
            block(
                pair[arm], label=f"{arm} ({measure} {pair[arm + ' score']:.3g})",
                colour=palette[arm],
            )
            for arm in selection.arms
        ]  # fmt: skip
        parts.append(block(pair["reference"], label="human", colour=surface().muted))
        st.html(blocks(parts))

st.subheader("What the decoder is handed")
results = results_of(selection)
with guarded("The end points"):
    handed = end_distances(selection.runs)
    if len(handed) == len(selection.arms):
        from analyses.figures.end_points import end_points_figure

        show_figure(
            end_points_figure(handed, arms=selection.all_arms, theme=theme()),
            "end-points",
            caption="The encoder's own latents lie about 1 apart: those are all that "
            "reconstruction sees. A curve that stays high to the right of 1 is a generator that "
            f"hands over points where no text ever was. {far_sentence(handed, results)} Where the "
            "curves run together and the arms still write unlike, it is not by how far they miss.",
        )
    else:
        missing_note(selection, "trajectory")

st.subheader("A near miss")
with guarded("The near miss"):
    show_near_miss(selection)

st.subheader("Candidate causes, arm against arm")
st.caption(
    "What the two spaces differ in although both read back well. Every row is measured on the "
    "autoencoder alone, before any generator is trained. Rows that favour the arm which writes "
    "worse are no cause of its writing; which of the others is, two runs cannot settle: the page "
    "Scorecard holds every row against many arms."
)
with guarded("The causes"):
    table = arm_deltas(results, selection.arms)
    if len(table):
        whole = st.toggle("Show also what does not part", key="causes", bind="query-params")
        show_reading_table(
            first_reading(table, whole=whole),
            "causes",
            caption="*Favours*: the arm at the better end, where the intervals part. "
            + causes_sentence(table, selection.arms),
            files=table,
        )
    else:
        st.info(f"None of {', '.join(CAUSES)} is measured in both arms yet.")

with guarded("The flow's loss"):
    from analyses.figures.loss_floors import loss_figure
    from workbench.ui.sections.causes import loss_curves

    curves = loss_curves({arm: (run, metrics_of(run)) for arm, run in selection.runs.items()})
    if curves:
        with st.expander("The flow's loss against its floors"):
            show_figure(
                loss_figure(curves, arms=selection.all_arms, theme=theme()),
                "flow-loss",
                caption="Raw losses of two spaces are not comparable. Dashed: the loss of an ideal "
                "flow that knew only how the latents spread (Gaussian floor), which a trained one "
                "goes below. Dotted: of one that knew all but the encoder's noise; none gets "
                "lower. The right panel is the place between the two, 0 = all is learnt.",
            )


def shown_numbers() -> list[Number]:
    """Scores of the arms, the correlation over runs, causes, and the pair that is read."""
    numbers = arm_numbers(comparison, selection.arms, [ACCURACY, score])
    numbers += correlation_numbers(correlated, score, list(points))
    numbers += probe_numbers(results, selection.seed, (*CAUSES, "trajectory.off_manifold"))
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
