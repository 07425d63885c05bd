"""A teacher is known by the content of its files: exchanged ones are noticed."""

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from short_training import context, new_run, short_config, train
from tiny_pretrained import save_tiny_bert

from data.corpora import CorpusConfig
from models.teachers import content as contents
from models.teachers.content import ARCHITECTURE, content_hash
from models.teachers.pretrained import local_directory
from workbench.config import settings
from workbench.errors import DamagedArtefactError, InputError, exit_code
from workbench.store.atomic import publish
from workbench.store.checkpoints import list_checkpoints
from workbench.store.manifest import read_manifest
from workbench.study.corpus import prepare_corpus
from workbench.study.folders import Run, Study
from workbench.study.model_content import stored_content
from workbench.train.teacher_states import prepare_teacher, read_states
from workbench.train.vae import vae_fingerprint


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("teacher") / "tiny")


@pytest.fixture
def teacher(model, tmp_path) -> Path:
    """A folder with a small pretrained encoder, to be changed at will."""
    return Path(shutil.copytree(model, tmp_path / "tiny"))


def aligned_run(folder: Path, teacher: Path) -> Run:
    """A run aligned with the teacher in a folder."""
    run = new_run(folder)
    config = settings.to_dict(run.study.config)
    config["arms"] = {
        "repa": {
            "vae_loss.repa_weight": 1.0,
            "teacher.name": f"hf:{teacher}",
            "teacher.layer": 2,
        }
    }
    study = Study(run.study.directory, settings.build(type(short_config()), config))
    return study.run("repa", 0)


def arms_of(folder: Path, *teachers: Path) -> list[Run]:
    """One run a teacher, in one study."""
    config = settings.to_dict(aligned_run(folder, teachers[0]).study.config)
    arm = config["arms"].pop("repa")
    for number, teacher in enumerate(teachers):
        config["arms"][f"arm-{number}"] = {**arm, "teacher.name": f"hf:{teacher}"}
    study = Study(folder, settings.build(type(short_config()), config))
    return [study.run(name, 0) for name in config["arms"]]


def exchange_weights(teacher: Path) -> None:
    """Other weights of the same shapes, under the same name and with the same time of change."""
    from safetensors.torch import load_file, save_file

    file = teacher / "model.safetensors"
    known = file.stat()
    weights = {name: tensor + 0.1 for name, tensor in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns + 1))


def prepared(run: Run) -> Path:
    return prepare_teacher(run.study, run.config, context())


def test_exchanged_weights_are_noticed_and_the_states_made_again(teacher, tmp_path):
    run = aligned_run(tmp_path / "study", teacher)
    directory = prepared(run)
    before, print_ = (directory / "train.npy").read_bytes(), vae_fingerprint(run)
    assert stored_content(directory) == content_hash(teacher)
    changed = directory.stat().st_ino
    assert prepared(run).stat().st_ino == changed, "nothing to do"
    exchange_weights(teacher)
    prepared(run)
    assert (directory / "train.npy").read_bytes() != before
    assert stored_content(directory) == content_hash(teacher)
    assert vae_fingerprint(run) != print_


def test_exchanged_weights_under_an_aligned_run_are_refused(teacher, tmp_path):
    run = aligned_run(tmp_path / "study", teacher)
    directory = prepared(run)
    train(run)
    assert list_checkpoints(run.vae_dir)
    stored = (directory / "manifest.json").read_bytes()
    shutil.copytree(teacher, tmp_path / "kept")
    exchange_weights(teacher)
    with pytest.raises(InputError, match="changed after runs were aligned with it") as caught:
        prepared(run)
    assert exit_code(caught.value) == 2
    assert (directory / "manifest.json").read_bytes() == stored
    shutil.copyfile(tmp_path / "kept" / "model.safetensors", teacher / "model.safetensors")
    prepared(run)


def test_two_teachers_whose_paths_read_alike_have_states_of_their_own(model, tmp_path):
    teachers = [
        Path(shutil.copytree(model, tmp_path / "bert-1")),
        Path(shutil.copytree(model, tmp_path / "bert" / "1")),
    ]
    exchange_weights(teachers[1])
    runs = arms_of(tmp_path / "study", *teachers)
    folders = [prepared(run) for run in runs]
    assert folders[0] != folders[1]
    assert stored_content(folders[0]) != stored_content(folders[1])
    states = [read_states(run.study, run.config, "train") for run in runs]
    first, second = (part.gather(np.arange(4), 8)[0] for part in states)
    assert not torch.equal(first, second)
    assert vae_fingerprint(runs[0]) != vae_fingerprint(runs[1])


def test_a_finished_study_keeps_the_folder_that_it_has(teacher, tmp_path):
    """Its name came from the teacher's name and layer alone."""
    run = aligned_run(tmp_path / "study", teacher)
    folder, known = prepared(run), vae_fingerprint(run)
    former = folder.rename(folder.with_name(folder.name.rpartition("-")[0]))
    stored = former.stat().st_ino
    assert prepared(run) == former
    assert former.stat().st_ino == stored
    assert vae_fingerprint(run) == known
    other = aligned_run(tmp_path / "study", teacher.with_name("tiny-2"))
    assert other.study.teacher_dir(other.config) != former, "another teacher's"


def test_states_of_another_teacher_are_not_read(teacher, tmp_path):
    other = Path(shutil.copytree(teacher, tmp_path / "other"))
    runs = arms_of(tmp_path / "study", teacher, other)
    first, second = (prepared(run) for run in runs)
    shutil.rmtree(second)
    shutil.copytree(first, second)
    with pytest.raises(DamagedArtefactError, match="not the states of teacher") as caught:
        read_states(runs[1].study, runs[1].config, "train")
    assert str(second) in str(caught.value)


def test_states_stay_usable_where_the_teacher_is_not(teacher, tmp_path):
    run = aligned_run(tmp_path / "study", teacher)
    directory = prepared(run)
    shutil.rmtree(teacher)
    notes: list[str] = []

    class Notes:
        def update(self, stage: str, done: int, total: int, info: Any) -> None:
            pass

        def note(self, text: str) -> None:
            notes.append(text)

    assert prepare_teacher(run.study, run.config, context(reporter=Notes())) == directory
    assert len(notes) == 1
    assert "is not on this machine" in notes[0]


def test_exchanged_pieces_are_a_changed_corpus(teacher, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"the old baker lost key {n}\n" for n in range(30)))
    known = short_config()
    base = dataclasses.replace(
        known.base,
        corpus=CorpusConfig(name="file", path=str(file), window=56, test_fraction=0.5),
        teacher=dataclasses.replace(known.base.teacher, name=f"hf:{teacher}", layer=2),
    )
    study = Study(tmp_path / "study", dataclasses.replace(known, base=base))
    prepare_corpus(study, context())
    manifest = study.corpus_dir / "manifest.json"
    stored = manifest.stat().st_ino
    prepare_corpus(study, context())
    assert manifest.stat().st_ino == stored
    pieces = teacher / "tokenizer.json"
    pieces.write_text(pieces.read_text() + "\n")
    prepare_corpus(study, context())
    assert manifest.stat().st_ino != stored
    (study.directory / "arms").mkdir()
    pieces.write_text(pieces.read_text() + "\n")
    with pytest.raises(InputError, match="changed after the study trained on it"):
        prepare_corpus(study, context())


def test_a_hash_covers_every_file_and_reads_each_once(teacher, monkeypatch):
    known = content_hash(teacher)
    read: list[Any] = []
    digest = contents.hashlib.file_digest
    monkeypatch.setattr(
        contents.hashlib, "file_digest", lambda *given: [read.append(given), digest(*given)][1]
    )
    assert content_hash(teacher) == known
    assert not read
    config = teacher / "config.json"
    architecture = content_hash(teacher, ARCHITECTURE)
    exchange_weights(teacher)
    assert content_hash(teacher) != known
    assert content_hash(teacher, ARCHITECTURE) == architecture
    config.write_text(config.read_text() + " ")
    assert content_hash(teacher, ARCHITECTURE) != architecture
    (teacher / "tokenizer.json").rename(teacher / "other.json")
    assert content_hash(teacher) != known


def test_a_model_is_looked_for_on_this_machine_alone(teacher, monkeypatch):
    monkeypatch.setattr("models.teachers.pretrained._ask_hub", None)
    assert local_directory(f"hf:{teacher}") == teacher
    assert local_directory(f"hf:{teacher}-absent") is None
    assert local_directory("hf:nobody/has-this-model") is None
    assert local_directory("minilm") == local_directory("random")


def test_states_from_before_contents_were_stored_go_on(teacher, tmp_path):
    """Their manifest says nothing of content, and fingerprints are those they were made with."""
    run = aligned_run(tmp_path / "study", teacher)
    directory = prepared(run)
    known = vae_fingerprint(run)
    meta = {**read_manifest(directory).meta}
    assert meta.pop("teacher_content") == content_hash(teacher)
    shutil.copytree(directory, tmp_path / "aside", ignore=shutil.ignore_patterns("manifest.json"))
    with publish(directory, meta=meta) as folder:
        shutil.copytree(tmp_path / "aside", folder, dirs_exist_ok=True)
    train(run)
    assert vae_fingerprint(run) != known
    stored = directory.stat().st_ino
    exchange_weights(teacher)
    assert prepared(run).stat().st_ino == stored
