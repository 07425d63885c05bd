"""The smoke study as probes find it: latents, flow and samples, nothing probed, nothing scored."""

import shutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from workbench.machine.devices import find_placement
from workbench.probes.inputs.probe_inputs import ProbeInputs
from workbench.study.folders import Study, open_study

LATER = ("probes", "pairs", "scores", "evaluation.json", "comparison.json", "report.html", ".lock")


@pytest.fixture(scope="session")
def sampled(smoke, tmp_path_factory) -> Study:
    """Both arms, sampled."""
    folder = tmp_path_factory.mktemp("sampled") / "smoke"
    shutil.copytree(smoke.directory, folder, ignore=shutil.ignore_patterns(*LATER))
    return open_study(folder)


@pytest.fixture(scope="session")
def new_inputs(sampled) -> Callable[[], ProbeInputs]:
    """Makes fresh arrays of the arm `none`, which a test may overwrite."""
    return lambda: ProbeInputs(sampled.run("none", 0), find_placement("cpu"))


@pytest.fixture
def many_inputs(new_inputs) -> Callable[[], ProbeInputs]:
    """The same with tokens enough for what is planted among them to be found."""

    def make() -> ProbeInputs:
        made = new_inputs()
        made.config = replace(made.config, probe_tokens=600)
        return made

    return make


@pytest.fixture
def inputs(new_inputs) -> ProbeInputs:
    return new_inputs()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
