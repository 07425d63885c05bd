"""A study that release 0.1.0 finished, unpacked for each module."""

import tarfile
from pathlib import Path

import pytest

from workbench.study.folders import Study, open_study

STORED = Path(__file__).parent / "fixtures" / "finished-study.tar.xz"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Study:
    folder = tmp_path_factory.mktemp("runs")
    with tarfile.open(STORED) as archive:
        archive.extractall(folder, filter="data")
    return open_study(folder / "finished")
