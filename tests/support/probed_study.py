"""A smoke study with everything that probes stand on, made once a test process."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from data.corpus_store import Corpus, open_corpus
from workbench.config.presets import smoke
from workbench.machine.context import StageContext
from workbench.machine.devices import find_placement
from workbench.probes.inputs.probe_inputs import ProbeInputs
from workbench.sample.held_out import sample_run
from workbench.sample.references import prepare_references
from workbench.study.corpus import prepare_corpus
from workbench.study.folders import Run, Study
from workbench.train.flow import train_flow
from workbench.train.language_model import train_language_model
from workbench.train.teacher_states import prepare_teacher
from workbench.train.vae import train_vae


@functools.cache
def context() -> StageContext:
    return StageContext(find_placement("cpu"))


@functools.cache
def study() -> Study:
    """Both arms with latents, flow and samples; nothing probed, nothing scored."""
    folder = Path(tempfile.mkdtemp(prefix="probed-study-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found = Study(folder, smoke())
    prepare_corpus(found, context())
    train_language_model(found, context())
    prepare_teacher(found, found.run("repa", 0).config, context())
    prepare_references(found, context())
    for run in found.runs:
        train_vae(run, context())
        train_flow(run, context())
        sample_run(run, context())
    return found


def corpus() -> Corpus:
    return open_corpus(study().corpus_dir)


def run(arm: str = "none") -> Run:
    return study().run(arm, 0)


def inputs(arm: str = "none") -> ProbeInputs:
    """Fresh arrays, which a test may overwrite."""
    return ProbeInputs(run(arm), context().place)
