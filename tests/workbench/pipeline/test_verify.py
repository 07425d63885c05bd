"""`verify` finds every damage that a study, run or artefact can have, and changes nothing."""

import shutil
from pathlib import Path

import pytest
from tiny_training import TinyTraining

from workbench import store
from workbench.errors import InputError
from workbench.pipeline.verify import verify_path


@pytest.fixture
def study(tmp_path) -> Path:
    """A study with a corpus, a run, its checkpoint, its log and documents."""
    study = tmp_path / "demo"
    run = study / "arms" / "repa" / "seed-0"
    with store.publish(study / "corpus", meta={"fingerprint": "f"}) as temporary:
        (temporary / "tokens.npy").write_bytes(bytes(1000))
    TinyTraining().run(2).save(run / "vae")
    store.write_json(run / "run.json", {"arm": "repa"}, sealed=True)
    store.write_json(study / "comparison.json", {"arms": {}})
    with store.MetricsLog(run / "metrics.jsonl") as log:
        log.append({"step": 1})
    (study / "report.html").write_text("<html>")
    return study


def test_a_sound_study(study):
    with store.run_lock(study):
        report = verify_path(study)
    assert report.sound
    assert (report.artefacts, report.files, report.documents) == (2, 4, 3)
    assert report.uncovered == [study / "report.html"]
    assert report.leftovers == []
    assert report.size > 1000


def flip_last(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


RUN = "arms/repa/seed-0"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("corpus/tokens.npy", flip_last),
        ("corpus/tokens.npy", Path.unlink),
        ("corpus/manifest.json", flip_last),
        (
            "corpus/manifest.json",
            lambda path: path.write_text(path.read_text().replace('"f"', '"g"')),
        ),
        (f"{RUN}/vae/step-2/optimizer.safetensors", flip_last),
        (f"{RUN}/vae/step-2/manifest.json", Path.unlink),
        (f"{RUN}/run.json", lambda path: path.write_text(path.read_text().replace("repa", "none"))),
        (f"{RUN}/metrics.jsonl", lambda path: path.write_bytes(b'{"step": NaN}\n')),
        ("comparison.json", lambda path: path.write_text('{"arms": ')),
    ],
)
def test_each_damage_is_found_and_named(study, name, damage):
    damage(study / name)
    for start in (study, (study / name).parent):
        report = verify_path(start)
        assert [problem.file for problem in report.problems] == [study / name]
        said = str(report.problems[0])
        assert said.startswith(f"{study / name}: ")
        assert said.count(str(study)) == 1
        assert "\n" not in said


def test_a_file_is_verified_with_its_artefact(study):
    assert verify_path(study / "corpus" / "tokens.npy").files == 1
    assert verify_path(study / "comparison.json").documents == 1


def test_left_overs_are_listed_and_not_judged(study):
    checkpoints = study / RUN / "vae"
    TinyTraining().run(3).save(checkpoints, keep=2)
    flip_last(checkpoints / "step-3" / "model.safetensors")
    assert not verify_path(study).sound
    TinyTraining().run(3).save(checkpoints)
    shutil.copytree(checkpoints / "step-3", checkpoints / ".tmp-step-4-01234567")
    (study / ".tmp-run.json-01234567").touch()
    report = verify_path(study)
    assert report.sound
    assert sorted(path.name for path in report.leftovers) == [
        ".tmp-run.json-01234567",
        ".tmp-step-4-01234567",
        "damaged-1-step-3",
    ]


def test_nothing_to_verify_is_bad_input(tmp_path):
    (tmp_path / "notes.txt").touch()
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "absent"):
        with pytest.raises(InputError):
            verify_path(path)
