"""Cached calls into the engine. Keys are names and file stamps, never arrays.

What is kept is shared between sessions and never changed: a copy a rerun costs more than reading.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench.probes.opened_study import OpenedStudy, version_of
from workbench.store.json_files import read_json
from workbench.store.metrics_log import read_metrics
from workbench.store.paths import STUDY
from workbench.study.folders import Run, Study, open_study
from workbench.study.generators import GeneratorRun
from workbench.ui.kit.scan import stamp

if TYPE_CHECKING:
    import pandas as pd

    from data.corpus_store import Corpus
    from workbench.machine.context import StageContext
    from workbench.probes.spaces import Space
    from workbench.sample.generator import Generates
    from workbench.sample.references import References

Stamp = tuple[int, int]


def comparison_of(study: Study) -> dict[str, Any] | None:
    """What `comparison.json` holds, to be read only; None before the study's end."""
    file = study.directory / "comparison.json"
    return _json(str(file), stamp(file)) if file.is_file() else None


def probe_results(run: Run) -> dict[str, dict[str, Any]]:
    """Every stored probe result of a run: result name -> result as JSON; to be read only."""
    files = sorted(run.probes_dir.glob("*.json"))
    return _results(tuple((str(file), stamp(file)) for file in files))


@st.cache_resource(max_entries=64, show_spinner=False)
def _results(files: tuple[tuple[str, Stamp], ...]) -> dict[str, dict[str, Any]]:
    results: dict[str, dict[str, Any]] = {}
    for path, _ in files:
        results.update(read_json(Path(path)).get("results", {}))
    return results


@st.cache_resource(max_entries=32, show_spinner=False)
def _json(path: str, stamp: Stamp) -> dict[str, Any]:
    return read_json(Path(path))


def metrics_of(run: Run | GeneratorRun) -> list[dict[str, Any]]:
    """Training records of a run, as far as they are written; to be read only."""
    file = run.directory / "metrics.jsonl"
    return _metrics(str(file), stamp(file))


@st.cache_resource(max_entries=64, show_spinner=False)
def _metrics(path: str, stamp: Stamp) -> list[dict[str, Any]]:
    return read_metrics(Path(path))


def headline_files(run: Run) -> tuple[Path, Path]:
    """Where a run's continuations at the headline guidance scale are, and their scores."""
    from workbench.sample.held_out import scale_name

    file = f"{scale_name(run.config.sampling.guidance_scales[0])}.parquet"
    return run.samples_dir / file, run.scores_dir / file


def samples_of(run: Run) -> pd.DataFrame:
    """Continuations at the headline guidance scale, one row per prompt."""
    return read_table(headline_files(run)[0])


def scores_of(run: Run) -> pd.DataFrame:
    """Scores of these continuations, one row per prompt."""
    return read_table(headline_files(run)[1])


def course_of(run: Run) -> pd.DataFrame | None:
    """Measures over the run's trainings, one row per stage and step; None if not probed."""
    from workbench.probes.course.over_training import TABLE, is_probed

    return read_table(run.over_training_dir / TABLE) if is_probed(run) else None


def read_table(path: Path) -> pd.DataFrame:
    """A Parquet file; to be read only."""
    return _table(str(path), stamp(path))


@st.cache_resource(max_entries=64, show_spinner=False)
def _table(path: str, stamp: Stamp) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


def opened(study: Study) -> OpenedStudy:
    """The study with whatever was loaded of it, for all sessions."""
    known = (stamp(study.directory / STUDY), stamp(study.corpus_dir / "corpus.json"))
    return _opened(str(study.directory), known)


@st.cache_resource(max_entries=4, show_spinner=False)
def _opened(directory: str, stamps: tuple[Stamp, ...]) -> OpenedStudy:
    study = open_study(Path(directory))
    return OpenedStudy(study, announce=st.spinner, adapters=named_adapters())


def named_adapters() -> tuple[str, ...]:
    """What `workbench app --adapter` named: it may run in this process."""
    return tuple(word for flag, word in pairwise(sys.argv) if flag == "--adapter")


def corpus_of(study: Study) -> Corpus:
    """The study's corpus, memory-mapped."""
    return opened(study).corpus


def references_of(study: Study) -> References:
    """Held-out prompts with what a human wrote next."""
    return opened(study).references


def unseen_in(study: Study, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """For each text the words, as spans of characters, at which it leaves the training texts."""
    from workbench.score.unseen_words import unseen_words

    return unseen_words(texts, corpus_of(study).tokenizer, opened(study).training_runs())


def context() -> StageContext:
    """A silent stage context on the best device, for work of a second or two."""
    from workbench.machine.context import StageContext
    from workbench.machine.devices import find_placement

    return StageContext(find_placement())


def generator_of(run: Run) -> Generates:
    """Whatever writes for an arm."""
    return opened(run.study).generator(run)


def weights_stamp(run: Run | GeneratorRun) -> str:
    """Changes when a checkpoint of the run or generator does, or the bundle it came from."""
    if isinstance(run, GeneratorRun):
        return version_of(run.model_dir)
    return version_of(run.vae_dir, run.flow_dir, run.latents_dir)


def space_of(run: Run) -> Space:
    """The latent space of a run as its probes see it."""
    return opened(run.study).space(run)
