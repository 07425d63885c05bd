"""Separability: what a straight cut reads off the latents, by label and class, and when."""

import streamlit as st

from workbench.report.findings import Number
from workbench.report.findings.shown import course_numbers, onset_numbers, probe_numbers
from workbench.ui.charts.curves import dots_figure
from workbench.ui.charts.heat import twin_heat_figure
from workbench.ui.kit.cached import corpus_of
from workbench.ui.kit.empty_state import selection_or_stop
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.figures import show_figure, show_table
from workbench.ui.kit.keep_finding import keep_this
from workbench.ui.kit.theme import theme
from workbench.ui.sections.course import (
    READABLE,
    course_note,
    courses,
    drawn_courses,
    onsets,
    show_course,
    show_onsets,
)
from workbench.ui.sections.probe_tables import (
    baseline_marks,
    class_frame,
    family,
    missing_note,
    results_of,
    swept_grid,
)
from workbench.ui.sections.separability_caption import beyond_sentence, parted_sentence

st.title("Separability")
st.caption(
    "A linear probe is the simplest reader there is: what it finds lies open in the space. Look at "
    "the distance from chance, and from the word alone (a probe that only knows which words there "
    "are): only what lies beyond that mark must come from context."
)
selection = selection_or_stop()
results = results_of(selection)
separable = {arm: family(own, "linear_separability.") for arm, own in results.items()}
if not any(separable.values()):
    missing_note(selection, "linear_separability")
    st.stop()

marks = baseline_marks(next(own for own in separable.values() if own))
show_figure(
    dots_figure(
        separable,
        arms=selection.all_arms,
        x="accuracy of a cross-validated linear probe (share of items)",
        marks=marks,
        theme=theme(),
    ),
    "linear-separability",
    caption="Dots are accuracies with 95 % intervals; *pos* is part of speech. "
    f"{beyond_sentence(separable, marks['the word alone'])} {parted_sentence(separable)}",
)

st.subheader("Class by class")
labels = list(dict.fromkeys(name for own in separable.values() for name in own))
label = st.selectbox("Label", labels, key="label", bind="query-params")
with guarded("The classes"):
    corpus = corpus_of(selection.study)
    names = {**corpus.label_names, **corpus.token_label_names}.get(label or "", ())
    frame = class_frame({arm: own.get(label or "") for arm, own in separable.items()}, names)
    if len(frame):
        show_table(frame, "classes", caption="Share of each class that the probe gets right. Rare "
                   "classes are the hard ones; look where the arms part.")  # fmt: skip
    else:
        st.info("This label has too few examples a class to be probed.")

st.subheader("Over training")
with guarded("The course of training"):
    found = courses(selection)
    if len(found) < len(selection.arms):
        course_note(selection)
    else:
        show_course(
            selection, found, "vae", f"{READABLE}{label}",
            "When the label becomes readable in the autoencoder's space. It would surprise if "
            "alignment did not make what the teacher knows readable earlier.",
        )  # fmt: skip
        if len(selection.arms) > 1:
            show_onsets(selection)

swept = {
    prefix: [swept_grid(family(results[arm], f"{prefix}.")) for arm in selection.arms]
    for prefix in ("denoising", "flow_layers")
}
missing = [prefix for prefix, grids in swept.items() if len(grids) < 2 or not all(grids)]
for prefix, title, x, caption in (
    ("denoising", "Over the sampler's steps", "flow time t, 0 = noise",
     "When the prompt's labels become readable in the text that is being made. A label that "
     "appears late is decided late; one that never appears was lost on the way."),
    ("flow_layers", "Over the flow's layers", "block of the diffusion transformer, at t = 1/2",
     "Where in the network a word's label can be read. The last column is its answer."),
):  # fmt: skip
    if prefix in missing:
        continue
    st.subheader(title)
    grids = swept[prefix]
    show_figure(
        twin_heat_figure(
            grids[0],
            grids[1],
            (selection.first, selection.second),
            x=x,
            value="accuracy",
            theme=theme(),
        ),
        prefix,
        caption=caption,
    )
if missing:
    with st.expander("Over the sampler's steps and the flow's layers: not all is measured yet"):
        missing_note(selection, *missing)

SHOWN = ("linear_separability.", "denoising.", "flow_layers.")


def shown_numbers() -> list[Number]:
    """Stored results, and the label over training where that is probed."""
    numbers = probe_numbers(results, selection.seed, SHOWN)
    probed = courses(selection)
    if len(probed) < len(selection.arms):
        return numbers
    measure = f"{READABLE}{label}"
    numbers += course_numbers(drawn_courses(probed, "vae", measure), "vae", measure)
    if len(selection.arms) > 1:
        numbers += onset_numbers(onsets(selection), selection.arms)
    return numbers


keep_this(selection, "separability", shown_numbers, shown={"label": label})
