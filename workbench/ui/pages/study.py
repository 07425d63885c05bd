"""Study: the arms side by side; what is equal, what is not, and what lies inside the noise."""

import streamlit as st

from analyses.figures.arm_scores import scores_figure
from workbench.findings.shown import arm_numbers, contrast_numbers
from workbench.ui.arm_table import (
    UNCLEAR,
    contrast_frame,
    family_names,
    findings,
    headline_metrics,
    metric_names,
    score_frame,
)
from workbench.ui.empty import comparison_or_stop, selection_or_stop
from workbench.ui.escaped import block, blocks, inline
from workbench.ui.exhibits import show_figure, show_table
from workbench.ui.keeping import keep_this
from workbench.ui.lessons import predict_first, writing_lesson
from workbench.ui.look import colours, theme
from workbench.ui.plain_words import plain_words

st.title("Study")
selection = selection_or_stop()
st.caption(
    "An autoencoder turns every token of a text into a short vector, its *latent*, and reads it "
    "back; a diffusion model then writes by turning noise into latents. The arms of "
    f"**{inline(selection.name)}** are twins: same data in the same order, same initial weights, "
    "same noise. Only the training of the autoencoder differs."
)
comparison = comparison_or_stop(selection)
if not predict_first(
    "study", lambda: writing_lesson(comparison, selection.first, selection.second)
):
    st.stop()

palette = colours(selection.all_arms)
sentences = findings(comparison, selection.first, selection.second)
st.html(blocks([block(line, colour=palette[selection.second]) for line in sentences]))
shared = [name.replace("_", " ") for name, same in comparison["paired"].items() if same]
broken = [name.replace("_", " ") for name, same in comparison["paired"].items() if not same]
if broken:
    st.warning(f"The arms are no twins: they differ in {', '.join(broken)}.")
elif len(comparison["arms"]) > 1:
    st.caption(
        f":green[:material/check_circle:] Proved by hashes: twins share {', '.join(shared)}."
    )

metrics = headline_metrics(comparison)
show_figure(
    scores_figure(
        comparison["arms"],
        metrics=metrics,
        titles={name: plain_words(name) for name in metrics},
        theme=theme(),
    ),
    "the-story",
    caption="Compare the first panel, how well each arm reads back its own latents, with the "
    "others, how well it writes (arrows point at the better end; bars are 95 % intervals over "
    "prompts). Reconstruction misleads where the arms overlap in the first and part in the rest; "
    "it would be vindicated if the first panel foretold the rest.",
    table=lambda: score_frame(comparison, metrics),
)

st.subheader("Every number")
families = family_names(comparison)
family = (
    st.segmented_control("Family", families, default=families[0], key="family", bind="query-params")
    or families[0]
)
show_table(
    score_frame(comparison, metric_names(comparison, family)),
    f"scores-{family}",
    caption="Mean [95 % interval]. *chance* is what a space without the property would score; a "
    "human text and the autoregressive baseline stand beside generation.",
)

if comparison["contrasts"]:
    st.subheader("What is significant, and what is not")
    only = st.toggle("Hide what cannot be told apart", key="clear", bind="query-params")
    show_table(
        contrast_frame(comparison, family, only_clear=only),
        f"contrasts-{family}",
        faded=lambda row: row["verdict"] == UNCLEAR,
        caption="Differences paired over prompts and seeds. One stands when its interval excludes "
        "zero and its p after Holm's correction is at most .05; grey rows are inside the noise.",
    )

seen = [*metrics, *metric_names(comparison, family)]
keep_this(
    selection,
    "study",
    lambda: [
        *arm_numbers(comparison, selection.arms, seen),
        *contrast_numbers(comparison, selection.arms, seen),
    ],
    shown={"family": family},
)
