"""Generate: prompts in, continuations of both arms side by side, with what they cost."""

import streamlit as st

from workbench.ui.sections.generate.cost_table import offer_texts, show_cost
from workbench.ui.sections.generate.texts_side_by_side import (
    chosen_prompt,
    prompts_of,
    show_texts,
    write_or_stop,
)
from workbench.ui.sections.generate.writing_form import choose_writing
from workbench.ui.sections.shared.empty_state import require_runs, selection_or_stop

st.title("Generate")
selection = selection_or_stop()
require_runs(selection, bundles=True)
with st.expander("Prompts, solver, guidance, noise", key="controls"):
    view = choose_writing(selection)
prompts = prompts_of(selection, view)
row = chosen_prompt(len(prompts))
written = write_or_stop(selection, view, row)
show_texts(selection, view, row, written)
show_cost({selection.runs[arm].title: own for arm, own in written.items()})
offer_texts(selection, view, prompts)
