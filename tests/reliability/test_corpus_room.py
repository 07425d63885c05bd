"""Room for a corpus is looked at before it is read, and again before it is written."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from short_training import context, short_config

from data.corpora import CorpusConfig, load_documents
from workbench.errors import ResourceError
from workbench.study import corpus as corpus_stage
from workbench.study.corpus import prepare_corpus
from workbench.study.disk_estimate import expected_characters, stored_bytes
from workbench.study.folders import Study

SETTINGS: dict[str, Any] = {"window": 56, "vocabulary": "bpe", "vocabulary_size": 600}


def study_of(folder: Path, **corpus: Any) -> Study:
    known = short_config()
    base = dataclasses.replace(known.base, corpus=CorpusConfig(**{**SETTINGS, **corpus}))
    return Study(folder / "study", dataclasses.replace(known, base=base))


def source(name: str, folder: Path) -> dict[str, Any]:
    """Settings of a corpus of each kind that needs no network."""
    if name == "stories":
        return {"name": "stories", "num_documents": 2000}
    if name == "docs":
        return {"name": "docs", "packages": ("json", "logging")}
    stories = load_documents(CorpusConfig(num_documents=2000))
    (folder / "texts.txt").write_text("".join(f"{story.text}\n" for story in stories))
    return {"name": "file", "path": str(folder / "texts.txt")}


def leave_free(monkeypatch: pytest.MonkeyPatch, folder: Path, free: float) -> None:
    disk = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk._replace(free=int(free)))


@pytest.mark.parametrize("name", ["stories", "file"])
def test_a_source_whose_size_is_known_is_refused_before_it_is_read(name, tmp_path, monkeypatch):
    study = study_of(tmp_path, **source(name, tmp_path))
    expected = expected_characters(study.config.base.corpus)
    assert expected is not None
    leave_free(monkeypatch, tmp_path, stored_bytes(expected) - 1000)
    monkeypatch.setattr("data.tokenization.build_tokenizer", None)
    with pytest.raises(ResourceError, match=r"corpus: needs 0\.00 GB and") as caught:
        prepare_corpus(study, context())
    assert caught.value.exit_code == 4
    assert not study.corpus_dir.exists()


def test_one_that_does_not_tell_is_refused_before_it_is_written(tmp_path, monkeypatch):
    study = study_of(tmp_path, **source("docs", tmp_path))
    assert expected_characters(study.config.base.corpus) is None
    leave_free(monkeypatch, tmp_path, 1000)
    monkeypatch.setattr("data.corpus_store.write_corpus", None)
    with pytest.raises(ResourceError, match="corpus: needs"):
        prepare_corpus(study, context())
    assert not study.corpus_dir.exists()


@pytest.mark.parametrize("name", ["stories", "docs", "file"])
def test_the_estimate_is_near_what_is_stored(name, tmp_path, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(corpus_stage, "check_room", lambda directory, needed: asked.append(needed))
    study = study_of(tmp_path, **source(name, tmp_path))
    prepare_corpus(study, context())
    stored = sum(path.stat().st_size for path in study.corpus_dir.rglob("*.[np]*"))
    assert len(asked) == (1 if name == "docs" else 2)
    for estimate in asked:
        assert 0.4 * stored < estimate < 2.5 * stored


def test_the_number_of_documents_bounds_the_part_of_a_file(tmp_path):
    known = CorpusConfig(**{**SETTINGS, **source("file", tmp_path)})
    whole = expected_characters(known)
    part = expected_characters(dataclasses.replace(known, num_documents=500))
    assert whole is not None
    assert part is not None
    assert whole == (tmp_path / "texts.txt").stat().st_size
    assert 0.2 < part / whole < 0.3
