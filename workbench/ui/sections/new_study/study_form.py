"""The form of the page New study: preset, corpus, teacher, arms, seeds, and other settings."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from models.configs.teacher import TEACHER_NAMES
from workbench.config.arms import STANDARD_ARMS
from workbench.machine.schedulers import has_slurm
from workbench.ui.kit.theme import ARM_MEANING
from workbench.ui.sections.new_study.study_request import (
    CORPORA,
    UPLOAD_KINDS,
    StudyRequest,
    override_lines,
    preset_arms,
    preset_lines,
    store_upload,
)


@dataclass(frozen=True)
class Filled:
    """What the reader filled in, unchecked."""

    preset: str
    corpus: str
    upload: object
    text_column: str
    hf_name: str
    arms: tuple[str, ...]
    num_seeds: int
    teacher: str
    name: str
    overrides: str
    executor: str
    resources: str

    def request(self) -> StudyRequest:
        """The same, checked.

        Raises:
            InputError: a choice is missing or not allowed.
        """
        return StudyRequest(
            preset=self.preset, name=self.name, corpus=self.corpus,
            path=store_upload(self.upload) if self.upload else "",
            text_column=self.text_column, hf_name=self.hf_name, arms=self.arms,
            num_seeds=self.num_seeds, teacher=self.teacher,
            overrides=override_lines(self.overrides),
            executor=self.executor, resources=tuple(self.resources.split()),
        )  # fmt: skip


def fill_in() -> Filled:
    """Draw the form."""
    presets = preset_lines()
    preset = st.selectbox(
        "Preset", list(presets), index=list(presets).index("demo"), key="preset",
        bind="query-params",
    )  # fmt: skip
    st.caption(presets[preset])
    left, right = st.columns([0.45, 0.55])
    with left:
        corpus, upload, column, hf_name = _choose_corpus()
    with right:
        arms, seeds, teacher, name = _choose_arms(preset)
    overrides = st.text_area(
        "Other settings, one KEY=VALUE a line", max_chars=2000,
        placeholder="base.vae.latent_width=32",
    )  # fmt: skip
    executor, resources = _choose_machines()
    return Filled(
        preset, corpus, upload, column, hf_name, arms, seeds, teacher, name, overrides,
        executor, resources,
    )  # fmt: skip


def _choose_machines() -> tuple[str, str]:
    """Executor, and what each task asks for; no choice where there is no Slurm."""
    if not has_slurm():
        return "", ""
    places = {"": "this machine", "slurm": "Slurm"}
    executor = st.segmented_control(
        "Run on", list(places), default="", format_func=places.__getitem__, key="executor"
    )
    if not executor:
        return "", ""
    resources = st.text_input(
        "What each task asks for", "timeout_min=240", max_chars=400,
        help="KEY=VALUE words as submitit takes them, such as gpus_per_node=1 slurm_partition=gpu",
    )  # fmt: skip
    return executor, resources


def _choose_corpus() -> tuple[str, object, str, str]:
    """Corpus, uploaded file, text column, and name on the Hub."""
    corpus = st.segmented_control(
        "Corpus", list(CORPORA), default="stories", key="corpus", wrap=True
    )
    corpus = corpus or "stories"
    st.caption(CORPORA[corpus])
    upload, column, hf_name = None, "", ""
    if corpus == "upload":
        upload = st.file_uploader(
            "A text a line (txt), or a table with a text column",
            type=list(UPLOAD_KINDS), max_upload_size=200,
        )  # fmt: skip
    if corpus == "hf":
        hf_name = st.text_input(
            "Data set on the Hugging Face Hub", placeholder="roneneldan/TinyStories"
        )
    if corpus in ("upload", "hf"):
        column = st.text_input("Text column", "text", max_chars=60)
    return corpus, upload, column, hf_name


def _choose_arms(preset: str) -> tuple[tuple[str, ...], int, str, str]:
    """Arms, number of seeds, teacher, and the study's name."""
    own = preset_arms(preset)
    arms = st.pills(
        "Arms", list(dict.fromkeys([*own, *STANDARD_ARMS])), selection_mode="multi",
        default=own, key=f"arms-{preset}", wrap=True,
        help="; ".join(f"`{arm}`: {meaning}" for arm, meaning in ARM_MEANING.items()),
    )  # fmt: skip
    seeds = st.number_input("Seeds", 1, 10, 1)
    teacher = st.selectbox("Teacher", TEACHER_NAMES, help="The frozen language model "
                           "that the aligned arm is pulled towards.")  # fmt: skip
    name = st.text_input("Name", preset, max_chars=40, help="Folder under the runs directory.")
    return tuple(arms), int(seeds), teacher, name
