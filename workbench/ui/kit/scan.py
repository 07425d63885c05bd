"""What is on disk, found by looking: studies that open, and studies that do not and why.

Where none opens, the example that comes with the workbench stands in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from workbench.errors import WorkbenchError
from workbench.store.paths import STUDY, list_runs, runs_directory
from workbench.study.folders import Study, open_study
from workbench.ui.kit.example_notice import UNDER_THE_BAR

_OPENED: dict[tuple[str, tuple[int, int]], Path] = {}  # unpacked examples, for all sessions
SECONDS = 2.0  # a page drawn twice within this time looks at the disk once


@dataclass(frozen=True)
class FoundStudy:
    """A study on disk.

    Attributes:
        name: its path below the runs directory.
        directory: its folder.
        problem: why it does not open, or empty.
        is_example: whether it came with the workbench.
    """

    name: str
    directory: Path
    problem: str
    is_example: bool = False


def stamp(path: Path) -> tuple[int, int]:
    """Part of every cache key: when a file was replaced, and its size; (0, 0) if it is missing."""
    try:
        state = path.stat()
    except OSError:
        return (0, 0)
    return (state.st_mtime_ns, state.st_size)


def found_studies() -> list[FoundStudy]:
    """Every study below the runs directory, damaged ones with the reason.

    The example follows as long as none of them opens, or while the reader has it open.
    """
    found = _scan(str(runs_directory()))
    if any(not study.problem for study in found) and not _reads_example():
        return found
    taken = {study.name for study in found}
    return [*found, *(study for study in _example() if study.name not in taken)]


def _reads_example() -> bool:
    from workbench.pipeline.example import NAME

    return NAME in (st.session_state.get("study"), st.query_params.get("study"))


def _example() -> list[FoundStudy]:
    from workbench.pipeline.example import FOLDER, NAME

    try:
        directory = _unpacked()
    except (WorkbenchError, ValueError, OSError) as error:
        problem = " ".join(str(error).split())
        return [FoundStudy(NAME, runs_directory() / FOLDER, problem, is_example=True)]
    return [] if directory is None else [FoundStudy(NAME, directory, "", is_example=True)]


def _unpacked() -> Path | None:
    """The example's folder; the first time, the page says what it waits for."""
    from workbench.pipeline.example import ARCHIVE, open_example

    key = (str(runs_directory()), stamp(ARCHIVE))
    found = _OPENED.get(key)
    if found is None or not (found / STUDY).is_file():
        place = st.empty()
        with place.container():
            st.html(UNDER_THE_BAR)
            st.title("Latent geometry workbench")
            words = "Unpacking the example, which happens once: ten seconds or more …"
            with st.spinner(words, show_time=True):
                found = open_example()
        place.empty()
        if found is not None:
            _OPENED[key] = found
    return found


@st.cache_data(ttl=SECONDS, max_entries=8, show_spinner=False)
def _scan(root: str) -> list[FoundStudy]:
    found = []
    for entry in list_runs(Path(root)):
        if entry.kind != "study":
            continue
        try:
            open_study(entry.path)
            problem = ""
        except (WorkbenchError, ValueError, OSError) as error:
            problem = " ".join(str(error).split())
        found.append(FoundStudy(entry.name, entry.path, problem))
    return found


def study_of(found: FoundStudy) -> Study:
    """Open a study again when its `study.json` changed, else the one already read."""
    return _open(str(found.directory), stamp(found.directory / "study.json"))


@st.cache_resource(max_entries=16, show_spinner=False)
def _open(directory: str, stamp: tuple[int, int]) -> Study:
    return open_study(Path(directory))
