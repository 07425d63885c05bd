"""The first stages: a corpus that streams, and what counts as the same source."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.corpus_config import CorpusConfig
from data.documents import Document
from models.configs.teacher import TeacherConfig
from workbench.config.study import StudyConfig
from workbench.errors import InputError
from workbench.machine.context import StageContext
from workbench.study.corpus import prepare_corpus
from workbench.study.corpus_source import source_hash
from workbench.study.folders import Study, open_study, teacher_key
from workbench.study.record import create_study
from workbench.train.teacher_states import states_fingerprint


def with_corpus(config: StudyConfig, **settings: Any) -> StudyConfig:
    corpus = CorpusConfig(**{"window": 32, "test_fraction": 0.3, **settings})
    return dataclasses.replace(config, base=dataclasses.replace(config.base, corpus=corpus))


def test_documents_are_read_twice_and_never_all_held(
    smoke_config: StudyConfig, tmp_path: Path, context: StageContext, monkeypatch: Any
) -> None:
    class Watched(Document):
        __slots__ = ("__weakref__",)

    alive, most, readings = 0, 0, 0

    def forget() -> None:
        nonlocal alive
        alive -= 1

    def read(_: CorpusConfig) -> Iterator[Document]:
        nonlocal alive, most, readings
        for number in range(4000):
            document = Watched(text=f"text {number} of many words " + "and more " * 30)
            weakref.finalize(document, forget)
            alive += 1
            most = max(most, alive)
            yield document
        readings += 1  # to the end: a look at the first ones tells how much room is needed

    monkeypatch.setattr("data.corpora.load_documents", read)
    study = create_study(with_corpus(smoke_config), tmp_path / "study")
    corpus = prepare_corpus(study, context)
    assert readings == 2
    assert sum(corpus.manifest["splits"][name]["windows"] for name in ("train", "test")) > 3000
    assert most < 2500


def test_docstrings_are_known_by_the_versions_of_their_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = CorpusConfig(name="docs", packages=("numpy", "sklearn"))
    before = source_hash(config)
    assert before.startswith("numpy==")
    assert "scikit-learn==" in before
    monkeypatch.setattr("workbench.study.corpus_source.version", lambda name: "0.0.1")
    assert source_hash(config) == "numpy==0.0.1 scikit-learn==0.0.1"
    assert source_hash(CorpusConfig()) == ""


def test_a_corpus_that_changed_under_a_trained_study_is_refused(
    smoke_config: StudyConfig, tmp_path: Path, context: StageContext
) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"text {n} is here\n" for n in range(40)))
    config = with_corpus(smoke_config, name="file", path=str(file), window=16)
    study = create_study(config, tmp_path / "study")
    first = prepare_corpus(study, context).manifest["content_hash"]
    file.write_text("".join(f"text {n} is new\n" for n in range(40)))
    assert prepare_corpus(study, context).manifest["content_hash"] != first
    study.run("none", 0).directory.mkdir(parents=True)
    file.write_text("".join(f"text {n} is newer\n" for n in range(40)))
    with pytest.raises(InputError, match="changed after the study trained on it"):
        prepare_corpus(study, context)


def test_a_random_teacher_is_known_by_its_seed(smoke: Study, corpus: Any) -> None:
    def names(**settings: Any) -> tuple[str, str]:
        config = TeacherConfig(**settings)
        return teacher_key(config), states_fingerprint(smoke, config)

    assert names(name="random", seed=1) != names(name="random", seed=2)
    assert names(name="random", seed=1)[1] != names(name="random", seed=2)[1]
    # The seed of `permuted` orders stored states; it makes no other ones.
    assert names(name="minilm", seed=1) == names(name="minilm", seed=2, permuted=True)
    assert names(name="minilm", layer=2) != names(name="minilm", layer=3)


def test_a_study_opens_as_it_was_made(smoke: Study) -> None:
    assert open_study(smoke.directory).config == smoke.config
