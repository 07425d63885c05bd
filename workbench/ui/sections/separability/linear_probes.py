"""What a straight cut reads off the latents, by label and by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from analyses.figures.arm_curves import dots_figure
from workbench.report.plain_words import label_words
from workbench.study.bundle_labels import read_labels
from workbench.ui.kit.cached import corpus_of
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.exhibits import show_figure, show_table
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.named_choice import choose_named
from workbench.ui.kit.theme import theme
from workbench.ui.sections.separability.captions import beyond_sentence, parted_sentence
from workbench.ui.sections.separability.probe_tables import baseline_marks, class_frame
from workbench.ui.sections.shared.empty_state import stop_for_other_seeds
from workbench.ui.sections.shared.stored_results import Results, family, missing_note

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection


def linear_probes_or_stop(
    selection: Selection, results: Mapping[str, Results]
) -> Mapping[str, Results]:
    """Arm -> label -> stored probe; says so and ends the page where none is stored."""
    stop_for_other_seeds(selection)
    found = {arm: family(own, "linear_separability.") for arm, own in results.items()}
    if not any(found.values()):
        missing_note(selection, "linear_separability")
        st.stop()
    return found


def show_probes(selection: Selection, separable: Mapping[str, Results]) -> None:
    """Accuracy by label, beside chance and the word alone."""
    # A label may be known in one arm alone; where both know it, the first arm's marks are drawn.
    every = {label: own[label] for own in reversed(list(separable.values())) for label in own}
    marks = baseline_marks(every)
    show_figure(
        kept_figure(
            dots_figure,
            {arm: _in_words(own) for arm, own in separable.items()},
            arms=selection.all_arms,
            x="accuracy of a linear probe, cross-validated",
            marks={name: _in_words(values) for name, values in marks.items()},
            theme=theme(),
        ),
        "linear-separability",
        caption="Dots are shares of items read right, with 95 % intervals. "
        f"{beyond_sentence(separable, marks['the word alone'])} {parted_sentence(separable)}",
    )


def _in_words(values: Mapping[str, Any]) -> dict[str, Any]:
    return {label_words(label): value for label, value in values.items()}


def show_classes(selection: Selection, separable: Mapping[str, Results]) -> str:
    """One label's classes in a table; returns the label."""
    st.subheader("Class by class")
    labels = list(dict.fromkeys(name for own in separable.values() for name in own))
    label = choose_named("Label", labels, "label", words=label_words)
    with guarded("The classes"):
        corpus = corpus_of(selection.study)
        brought = {
            n: own.classes for run in selection.runs.values() for n, own in read_labels(run).items()
        }
        names = {**corpus.label_names, **corpus.token_label_names, **brought}.get(label, ())
        frame = class_frame({arm: own.get(label) for arm, own in separable.items()}, names, label)
        if len(frame):
            show_table(
                frame, "classes", height="content",
                caption="Share of each class that the probe gets right. Rare classes are the hard "
                "ones; look where the arms part.",
            )  # fmt: skip
        else:
            st.info("This label has too few examples a class to be probed.")
    return label
