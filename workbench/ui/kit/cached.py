"""Cached calls into the engine. Keys are names and file stamps, never arrays; models are shared
between sessions and never changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench.probes.spaces import Space, TeacherSpace, read_space, read_teacher_space, taught_run
from workbench.store.json_files import read_json
from workbench.store.metrics_log import read_metrics
from workbench.study.folders import Run, Study, open_study
from workbench.ui.kit.scan import stamp

if TYPE_CHECKING:
    import pandas as pd

    from data.corpus_store import Corpus
    from workbench.machine.context import StageContext
    from workbench.sample.generate import Generator
    from workbench.sample.references import References

Stamp = tuple[int, int]


def comparison_of(study: Study) -> dict[str, Any] | None:
    """What `comparison.json` holds; None before the study's end."""
    file = study.directory / "comparison.json"
    return _json(str(file), stamp(file)) if file.is_file() else None


def probe_results(run: Run) -> dict[str, dict[str, Any]]:
    """Every stored probe result of a run: result name -> result as JSON."""
    results: dict[str, dict[str, Any]] = {}
    for file in sorted(run.probes_dir.glob("*.json")):
        results.update(_json(str(file), stamp(file)).get("results", {}))
    return results


@st.cache_data(max_entries=256, show_spinner=False)
def _json(path: str, stamp: Stamp) -> dict[str, Any]:
    return read_json(Path(path))


def metrics_of(run: Run) -> list[dict[str, Any]]:
    """Training records of a run, as far as they are written."""
    file = run.directory / "metrics.jsonl"
    return _metrics(str(file), stamp(file))


@st.cache_data(max_entries=64, show_spinner=False)
def _metrics(path: str, stamp: Stamp) -> list[dict[str, Any]]:
    return read_metrics(Path(path))


def samples_of(run: Run) -> pd.DataFrame:
    """Continuations at the headline guidance scale, a row a prompt."""
    from workbench.sample.held_out import scale_name

    name = scale_name(run.config.sampling.guidance_scales[0])
    return read_table(run.samples_dir / f"{name}.parquet")


def scores_of(run: Run) -> pd.DataFrame:
    """Scores of these continuations, a row a prompt."""
    from workbench.sample.held_out import scale_name

    name = scale_name(run.config.sampling.guidance_scales[0])
    return read_table(run.scores_dir / f"{name}.parquet")


def course_of(run: Run) -> pd.DataFrame | None:
    """Measures over the run's trainings, a row a stage, step and measure; None if not probed."""
    from workbench.probes.course.over_training import TABLE, is_probed

    return read_table(run.over_training_dir / TABLE) if is_probed(run) else None


def read_table(path: Path) -> pd.DataFrame:
    """A Parquet file."""
    return _table(str(path), stamp(path))


@st.cache_data(max_entries=64, show_spinner=False)
def _table(path: str, stamp: Stamp) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


def corpus_of(study: Study) -> Corpus:
    """The study's corpus, memory-mapped."""
    return _corpus(str(study.corpus_dir), stamp(study.corpus_dir / "corpus.json"))


@st.cache_resource(max_entries=8, show_spinner=False)
def _corpus(directory: str, stamp: Stamp) -> Corpus:
    from data.corpus_store import open_corpus

    return open_corpus(Path(directory))


def references_of(study: Study) -> References:
    """Held-out prompts with what a human wrote next."""
    return _references(str(study.references_dir), stamp(study.references_dir / "manifest.json"))


@st.cache_resource(max_entries=8, show_spinner=False)
def _references(directory: str, stamp: Stamp) -> References:
    from workbench.sample.references import open_references

    return open_references(Path(directory))


def context() -> StageContext:
    """A silent stage context on the best device, for work of a second or two."""
    from workbench.machine.context import StageContext
    from workbench.machine.devices import find_placement

    return StageContext(find_placement())


def generator_of(run: Run) -> Generator:
    """A run's VAE and flow, loaded once for all sessions."""
    return _generator(str(run.study.directory), run.arm, run.seed, weights_stamp(run))


def weights_stamp(run: Run) -> str:
    """Changes when a checkpoint of the run does."""
    files = sorted([*run.vae_dir.glob("*/manifest.json"), *run.flow_dir.glob("*/manifest.json")])
    return repr([(file.parent.name, stamp(file)) for file in files])


@st.cache_resource(max_entries=6, show_spinner="Loading the weights …")
def _generator(directory: str, arm: str, seed: int, weights: str) -> Generator:
    from workbench.sample.generate import load_generator

    run = open_study(Path(directory)).run(arm, seed)
    return load_generator(run, context().place)


def space_of(run: Run) -> Space:
    """The latent space of a run as its probes see it."""
    return _space(str(run.study.directory), run.arm, run.seed, weights_stamp(run))


@st.cache_resource(max_entries=12, show_spinner="Reading the latents …")
def _space(directory: str, arm: str, seed: int, weights: str) -> Space:
    run = open_study(Path(directory)).run(arm, seed)
    return read_space(run, context().place)


def teacher_of(study: Study) -> TeacherSpace | None:
    """The teacher's view of the held-out items; None where no arm of the study has a teacher."""
    run = taught_run(study)
    if run is None:
        return None
    manifest = study.teacher_dir(run.config) / "manifest.json"
    return _teacher(str(study.directory), run.arm, run.seed, stamp(manifest))


@st.cache_resource(max_entries=4, show_spinner="Reading the teacher's states …")
def _teacher(directory: str, arm: str, seed: int, stamp: Stamp) -> TeacherSpace:
    run = open_study(Path(directory)).run(arm, seed)
    return read_teacher_space(run)
