"""Separability: what a straight cut reads off the latents, by label and class, and when."""

import streamlit as st

from workbench.findings import Number
from workbench.findings.shown import course_numbers, onset_numbers, probe_numbers
from workbench.ui.charts.curves import dots_figure
from workbench.ui.charts.heat import twin_heat_figure
from workbench.ui.course import (
    READABLE,
    course_note,
    courses,
    drawn_courses,
    onsets,
    show_course,
    show_onsets,
)
from workbench.ui.empty import selection_or_stop
from workbench.ui.engine import corpus_of
from workbench.ui.exhibits import show_figure, show_table
from workbench.ui.guard import guarded
from workbench.ui.keeping import keep_this
from workbench.ui.look import theme
from workbench.ui.probe_tables import (
    baseline_marks,
    class_frame,
    family,
    missing_note,
    results_of,
    swept_grid,
)

st.title("Separability")
st.caption(
    "A linear probe is the simplest reader there is: what it finds lies open in the space. Look at "
    "the distance from chance, and from the word alone (a probe that only knows which word it is): "
    "what is above that mark is what the latents know from context."
)
selection = selection_or_stop()
results = results_of(selection)
separable = {arm: family(own, "linear_separability.") for arm, own in results.items()}
if not any(separable.values()):
    missing_note(selection, "linear_separability")
    st.stop()

show_figure(
    dots_figure(
        separable,
        arms=selection.all_arms,
        x="accuracy of a cross-validated linear probe (share of items)",
        marks=baseline_marks(next(own for own in separable.values() if own)),
        theme=theme(),
    ),
    "linear-separability",
    caption="Dots are accuracies with 95 % intervals; *pos* is part of speech. It would "
    "surprise if the arms parted for part of speech, which the word gives away, and not for what "
    "only the story says.",
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

for prefix, title, x, caption in (
    ("denoising.", "Over the sampler's steps", "flow time t, 0 = noise",
     "When the prompt's labels become readable in the text that is being made. A label that "
     "appears late is decided late; one that never appears was lost on the way."),
    ("flow_layers.", "Over the flow's layers", "block of the diffusion transformer, at t = 1/2",
     "Where in the network a word's label can be read. The last column is its answer."),
):  # fmt: skip
    st.subheader(title)
    grids = [swept_grid(family(results[arm], prefix)) for arm in selection.arms]
    if len(grids) < 2 or not all(grids):
        missing_note(selection, prefix.rstrip("."))
        continue
    show_figure(
        twin_heat_figure(
            grids[0],
            grids[1],
            (selection.first, selection.second),
            x=x,
            value="accuracy",
            theme=theme(),
        ),
        prefix.rstrip("."),
        caption=caption,
    )

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
