"""Study: the arms side by side; what is equal, what is not, and what lies inside the noise."""

import streamlit as st

from analyses.figures.arm_scores import scores_figure
from workbench.report.findings.shown import arm_numbers, contrast_numbers
from workbench.ui.kit.empty_state import comparison_or_stop, selection_or_stop
from workbench.ui.kit.escape import block, blocks, inline
from workbench.ui.kit.figures import show_figure, show_table
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.kit.plain_words import plain_words
from workbench.ui.kit.theme import colours, theme
from workbench.ui.sections.arm_table import (
    UNCLEAR,
    contrast_frame,
    family_names,
    findings,
    headline_metrics,
    metric_names,
    score_frame,
)
from workbench.ui.sections.lessons import predict_first, writing_lesson

PAIRED = {"init": "initial weights", "noise": "starting noise"}

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
shared = [
    PAIRED.get(name, name.replace("_", " ")) for name, same in comparison["paired"].items() if same
]
broken = [
    PAIRED.get(name, name.replace("_", " "))
    for name, same in comparison["paired"].items()
    if not same
]
if broken:
    st.warning(f"The arms are no twins: they differ in {', '.join(broken)}.")
elif len(comparison["arms"]) > 1:
    st.caption(
        f":green[:material/check_circle:] Twins share {', '.join(shared)}: hashes of each were "
        "stored by both trainings and are equal."
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
st.caption("One family of measures at a time; both tables below follow the choice.")
families = family_names(comparison)
family = (
    st.segmented_control("Family", families, default=families[0], key="family", bind="query-params")
    or families[0]
)
table = score_frame(comparison, metric_names(comparison, family))
show_table(
    table,
    f"scores-{family}",
    height="content",
    caption="Mean [95 % interval] of *n* items (prompts, texts or words)."
    + (" *chance* is what a space without the property would score." if "chance" in table else "")
    + (
        " Human texts, and a language model that writes word by word (*autoregressive*), are "
        "scored alike."
        if "human" in table
        else ""
    ),
)

if comparison["contrasts"]:
    st.subheader("What is significant, and what is not")
    only = st.toggle("Hide what cannot be told apart", key="clear", bind="query-params")
    shown = contrast_frame(comparison, family, only_clear=only)
    if len(shown):
        show_table(
            shown,
            f"contrasts-{family}",
            faded=lambda row: row["verdict"] == UNCLEAR,
            height="content",
            column_config={"verdict": st.column_config.TextColumn(width="medium")},
            caption=f"Family *{family}*, paired over prompts and seeds. A difference stands when "
            "its interval excludes zero and its p, after Holm's correction for looking at many, "
            "is at most .05; grey rows are inside the noise. *higher* and *lower* stand where "
            "neither end is the better one.",
        )
    else:
        st.info(f"In the family {family} no difference between arms stands out of the noise.")

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
