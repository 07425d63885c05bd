"""New study: choose corpus, teacher, preset, arms and seeds; a process of its own does the rest."""

import streamlit as st

from workbench.store.paths import runs_directory
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.figures import show_table
from workbench.ui.sections.job_cards import start_job, watch_jobs
from workbench.ui.sections.study_form import (
    CORPORA,
    StudyRequest,
    cost_rows,
    preset_lines,
    store_upload,
    study_arguments,
)

st.title("New study")
st.caption(
    "A study trains the same autoencoder once for each arm, the same diffusion model on each, and "
    "compares what they write. It runs in a process of its own: close the browser, come back, it "
    "is still there. One study runs at a time; others wait."
)

presets = preset_lines()
preset = st.selectbox(
    "Preset", list(presets), index=list(presets).index("demo"), key="preset", bind="query-params"
)
st.caption(presets[preset])
left, right = st.columns(2)
with left:
    corpus = st.segmented_control("Corpus", list(CORPORA), default="stories", key="corpus")
    corpus = corpus or "stories"
    st.caption(CORPORA[corpus])
    upload = column = hf_name = None
    if corpus == "upload":
        upload = st.file_uploader(
            "A text a line (txt), or a table with a text column",
            type=["txt", "jsonl", "csv", "parquet"], max_upload_size=200,
        )  # fmt: skip
        column = st.text_input("Text column", "text", max_chars=60)
    if corpus == "hf":
        hf_name = st.text_input(
            "Data set on the Hugging Face Hub", placeholder="roneneldan/TinyStories"
        )
        column = st.text_input("Text column", "text", max_chars=60)
with right:
    from workbench.config.study import STANDARD_ARMS

    arms = st.pills("Arms", list(STANDARD_ARMS), selection_mode="multi", default=["none", "repa"])
    seeds = st.number_input("Seeds", 1, 10, 1)
    teacher = st.selectbox("Teacher", ["minilm", "own", "random"], help="The frozen language model "
                           "that the aligned arm is pulled towards.")  # fmt: skip
    name = st.text_input("Name", preset, max_chars=40, help="Folder under the runs directory.")
overrides = st.text_area(
    "Other settings, one KEY=VALUE a line", max_chars=2000, placeholder="base.vae.latent_width=32"
)

with guarded("This study"):
    request = StudyRequest(
        preset=preset, name=name, corpus=corpus, path=store_upload(upload) if upload else "",
        text_column=column or "", hf_name=hf_name or "", arms=tuple(arms), num_seeds=int(seeds),
        teacher=teacher,
        overrides=tuple(line.strip() for line in overrides.splitlines() if line.strip()),
    )  # fmt: skip
    config, arguments = study_arguments(request)
    show_table(
        cost_rows(config),
        "cost-estimate",
        caption="What will be computed. Minutes are measured where this machine has trained the "
        "same kind of model before, and left out where it has not.",
    )
    if st.button("Start", type="primary", icon=":material/rocket_launch:"):
        start_job(
            ["study", *arguments],
            f"{request.name} ({request.preset})",
            runs_directory() / request.name,
        )
    with st.popover("The same from a terminal", type="tertiary"):
        st.code("python -m workbench study " + " ".join(arguments), language="bash")

st.subheader("Jobs")
st.caption(
    "The loss says little by itself: *band\\_fraction* is where the flow's loss stands between its "
    "floors, 1 = it knows the latents' covariance and no more, 0 = it knows every mean."
)
watch_jobs()
