"""One finished smoke study for all tests, made once; whoever changes it gets a copy.

Every test process and its children compute on one thread: pytest-xdist runs one per core, and bits
depend on the number of threads.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from workbench.config.study import StudyConfig
    from workbench.machine.context import StageContext
    from workbench.study.folders import Study

os.environ["TOKENIZERS_PARALLELISM"] = "false"
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{library}_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def smoke_config() -> StudyConfig:
    """The smoke preset on one thread, so that its bits do not depend on the machine's cores."""
    from workbench.config.presets.on_two_cores import smoke

    return dataclasses.replace(smoke(), threads=1)


@pytest.fixture
def context() -> StageContext:
    """A silent stage context on the CPU."""
    from workbench.machine.context import StageContext
    from workbench.machine.devices import find_placement

    return StageContext(find_placement("cpu"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """A test may ask for more; the next starts from one again."""
    from workbench.machine.devices import set_threads

    set_threads(1)


@pytest.fixture(scope="session")
def smoke(smoke_config, tmp_path_factory) -> Study:
    """A finished smoke study, to be read only. Its runs share one process, one after another."""
    from finishing import finish_here
    from made_once import made_once

    from workbench.machine.context import StageContext
    from workbench.machine.devices import find_placement, set_threads
    from workbench.study.folders import open_study
    from workbench.study.record import create_study

    def make(folder: Path) -> None:
        set_threads(1)
        finish_here(create_study(smoke_config, folder), StageContext(find_placement("cpu")))

    return open_study(made_once("smoke", make, tmp_path_factory))


@pytest.fixture(scope="session")
def generator_study(smoke, tmp_path_factory) -> Study:
    """The finished smoke study to which one generator of every family was added."""
    from generator_study import add_generators
    from made_once import made_once

    from workbench.study.folders import open_study

    made = made_once("smoke-generators", lambda f: add_generators(smoke, f), tmp_path_factory)
    return open_study(made)


@pytest.fixture
def copy_smoke(smoke, tmp_path) -> Callable[..., Study]:
    """Makes a copy of the smoke study; `without` names entries of its folder to leave out."""

    def copy(*, without: tuple[str, ...] = (), name: str = "smoke") -> Study:
        from workbench.study.folders import open_study

        directory = tmp_path / name
        shutil.copytree(
            smoke.directory,
            directory,
            ignore=lambda folder, names: (
                set(names) & {*without, ".lock"} if Path(folder) == smoke.directory else set()
            ),
        )
        return open_study(directory)

    return copy


RESULTS = ("arms", "comparison.json", "report.html", "scorecard.parquet", "progress.jsonl")


@pytest.fixture
def prepared(copy_smoke) -> Study:
    """A copy of the smoke study before its first run: corpus, teacher, judge and references."""
    return copy_smoke(without=RESULTS)


@pytest.fixture(scope="session")
def corpus(smoke) -> Corpus:
    """The smoke study's corpus."""
    from data.corpus_store import open_corpus

    return open_corpus(smoke.corpus_dir)
