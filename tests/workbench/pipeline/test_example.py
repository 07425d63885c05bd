"""The example study: packed by one command, unpacked sound, small, and the same every time."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.machine.context import StageContext, update_json
from workbench.machine.devices import find_placement
from workbench.pipeline import example
from workbench.pipeline.verify import verify_path
from workbench.probes.catalogue import PROBES
from workbench.probes.inputs.probe_inputs import ProbeInputs
from workbench.probes.inputs.run_inputs import RunInputs
from workbench.probes.opened_study import OpenedStudy
from workbench.store.json_files import read_json
from workbench.study.folders import Study, open_study
from workbench.train.bundle_arms import export_run, import_bundle

# Whatever is measured on latents alone; the first few take a second together.
ON_LATENTS = [name for name, probe in PROBES.items() if probe.lacks({"per_token": True}) is None]
QUICKLY = ("scale", "isotropy", "intrinsic_dimension", "learnability", "latent_map")


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Study:
    """The example of this checkout, unpacked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RUNS", str(tmp_path_factory.mktemp("runs")))
        folder = example.open_example()
    assert folder is not None
    return open_study(folder)


def test_the_stored_example_is_small_and_sound(stored):
    assert example.ARCHIVE.stat().st_size <= example.MOST_BYTES
    report = verify_path(stored.directory)
    assert report.sound
    assert report.artefacts > 10


def test_it_has_whatever_a_page_opens(stored):
    opened = OpenedStudy(stored)
    runs = {run.arm: run for run in stored.runs}
    assert set(runs) == {"none", "repa"}
    items = opened.items(runs, "tokens")
    assert set(items.spaces) == {*runs, "teacher"}
    assert all(len(rows) == len(items.ids) for rows in items.spaces.values())
    for run in runs.values():
        vae = opened.generator(run).vae
        assert all(weight.dtype.itemsize != 2 for weight in vae.state_dict().values())


def test_its_rounded_weights_read_the_held_out_texts_back(stored):
    for run in stored.runs:
        inputs = RunInputs(run, find_placement())
        read = inputs.decode_ids(inputs.normalised_mu)
        right = (read == inputs.padded_ids)[inputs.mask]
        assert np.mean(right) > 0.999


def compare_with_its_bundle(stored: Study, folder: Path, context: StageContext, names) -> None:
    """Probe the aligned twin, and what its bundle comes back as: every digit of every result."""
    copied = Path(shutil.copytree(stored.directory, folder / "example"))
    own = open_study(copied).run("repa", 0)
    guest = import_bundle(export_run(own, folder / "out", context.place), own.study, "guest")
    ours, theirs = (ProbeInputs(run, context.place) for run in (own, guest))
    compared = 0
    for name in names:
        for known, found in zip(PROBES[name].run(ours), PROBES[name].run(theirs), strict=True):
            assert found.to_json() == known.to_json(), known.name
            compared += known.score is not None
    assert compared >= len(names)


def test_an_aligned_twin_that_was_exported_comes_back_with_the_same_numbers(
    stored, tmp_path, context
):
    compare_with_its_bundle(stored, tmp_path, context, QUICKLY)


@pytest.mark.slow
def test_every_probe_of_an_exported_twin_is_the_same(stored, tmp_path, context):
    compare_with_its_bundle(stored, tmp_path, context, ON_LATENTS)


def test_packing_twice_gives_the_same_bytes_and_opens(finished, tmp_path, context, monkeypatch):
    files = [tmp_path / "one.tar.xz", tmp_path / "two.tar.xz"]
    for file in files:
        assert example.make_example(finished, file, context) == file.stat().st_size
    assert files[0].read_bytes() == files[1].read_bytes()
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    folder = example.open_example(files[0])
    assert folder is not None
    assert verify_path(folder).sound
    assert example.open_example(files[0]) == folder
    names = {path.name for path in folder.rglob("*")}
    assert not names & {"milestones", "optimizer.safetensors", "trajectories"}


def test_where_a_fork_came_from_stays_here(finished, tmp_path, context, monkeypatch):
    fork = Path(shutil.copytree(finished.directory, tmp_path / "fork"))
    update_json(fork / "study.json", {"forked_from": {"study": "/a/folder", "reused": []}})
    example.make_example(open_study(fork), tmp_path / "x.tar.xz", context)
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    folder = example.open_example(tmp_path / "x.tar.xz")
    assert "forked_from" not in read_json(folder / "study.json")


def test_unfinished_study_is_refused(finished, tmp_path, context):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "study.json").write_bytes((finished.directory / "study.json").read_bytes())
    with pytest.raises(InputError, match="not finished"):
        example.make_example(open_study(bare), tmp_path / "x.tar.xz", context)
    assert not (tmp_path / "x.tar.xz").exists()


def test_too_large_a_study_is_refused(finished, tmp_path, context, monkeypatch):
    monkeypatch.setattr(example, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="at most 1,000"):
        example.make_example(finished, tmp_path / "x.tar.xz", context)
    assert not (tmp_path / "x.tar.xz").exists()


def test_a_checkout_without_the_example_has_none(tmp_path):
    assert example.open_example(tmp_path / "none.tar.xz") is None


def test_two_processes_that_unpack_at_once_share_the_first_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    archive = tmp_path / "example.tar.xz"
    archive.write_bytes(b"any")

    def unpack_while_another_does(_: Path, folder: Path) -> None:
        for made in (folder / example.NAME, folder.parent / example.NAME):
            made.mkdir()
            (made / example.STUDY).write_text(made.parent.name)

    monkeypatch.setattr(example, "_unpack", unpack_while_another_does)
    opened = example.open_example(archive)
    assert (opened / example.STUDY).read_text() == opened.parent.name
    assert [entry.name for entry in opened.parent.iterdir()] == [example.NAME]
