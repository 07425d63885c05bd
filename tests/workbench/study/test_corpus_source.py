"""Where a corpus comes from: a change is noticed, a loss named, and what is stored serves on."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from wordnet_files import write_wordnet

from data.corpora import CorpusConfig
from workbench.config.study import StudyConfig
from workbench.errors import InputError
from workbench.machine.context import StageContext
from workbench.store.atomic import publish
from workbench.store.manifest import MANIFEST, read_manifest
from workbench.study.corpus import SOURCE, corpus_fingerprint, prepare_corpus
from workbench.study.corpus_source import source_hash
from workbench.study.folders import Study
from workbench.study.record import create_study


class Notes:
    """A reporter that keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def update(self, *_: Any) -> None:
        """Nothing is shown."""

    def note(self, text: str) -> None:
        """One more."""
        self.notes.append(text)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(file: Path, word: str = "here") -> str:
    file.write_text("".join(f"text {n} is {word}\n" for n in range(40)))
    return str(file)


def with_corpus(config: StudyConfig, **changes: Any) -> StudyConfig:
    corpus = CorpusConfig(**{"window": 16, "test_fraction": 0.3, "vocabulary": "bpe", **changes})
    return dataclasses.replace(config, base=dataclasses.replace(config.base, corpus=corpus))


def trained(study: Study) -> Study:
    study.run("none", 0).directory.mkdir(parents=True)
    return study


def publish_again(study: Study, config: StudyConfig, source: str, **meta: str) -> None:
    """Store the corpus under other meta: the fingerprint of `config`, and what `meta` says."""
    known = {k: v for k, v in read_manifest(study.corpus_dir).meta.items() if k != SOURCE}
    meta = {**known, "fingerprint": corpus_fingerprint(config.base, source), **meta}
    former = study.directory / "former"
    study.corpus_dir.rename(former)
    with publish(study.corpus_dir, meta=meta) as folder:
        shutil.copytree(former, folder, ignore=shutil.ignore_patterns(MANIFEST), dirs_exist_ok=True)
    shutil.rmtree(former)


@pytest.mark.parametrize("spelling", ["{home}/c.txt", "~/c.txt", "{home}/x/../c.txt"])
def test_a_changed_file_is_noticed_under_every_spelling(
    smoke_config: StudyConfig, home: Path, context: StageContext, spelling: str
) -> None:
    write(home / "c.txt")
    (home / "x").mkdir()
    path = spelling.format(home=home)
    config = with_corpus(smoke_config, name="file", path=path)
    study = trained(create_study(config, home / "study"))
    prepare_corpus(study, context)
    write(home / "c.txt", "new")
    with pytest.raises(InputError, match=r"its source .*c.txt changed after the study trained"):
        prepare_corpus(study, context)


def test_a_pipe_or_a_folder_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for path in (tmp_path / "pipe.txt", tmp_path, Path("/dev/zero")):
        assert source_hash(CorpusConfig(name="file", path=str(path))) is None


def test_a_changed_local_data_set_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_text('{"text": "a"}\n')
    config = CorpusConfig(name="hf", hf_name=str(tmp_path / "set"))
    before = source_hash(config)
    (tmp_path / "set" / "train.jsonl").write_text('{"text": "b"}\n')
    assert before
    assert source_hash(config) not in (before, None)
    assert source_hash(dataclasses.replace(config, hf_name=str(tmp_path / "gone"))) is None
    assert source_hash(dataclasses.replace(config, hf_name="org/set")) == ""


@pytest.mark.parametrize("earlier", [False, True])
def test_a_missing_file_is_named_and_its_stored_texts_serve(
    smoke_config: StudyConfig, tmp_path: Path, context: StageContext, earlier: bool
) -> None:
    file = tmp_path / "c.txt"
    config = with_corpus(smoke_config, name="file", path=write(file))
    study = create_study(config, tmp_path / "study")
    first = prepare_corpus(study, context)
    if earlier:
        publish_again(study, config, source_hash(config.base.corpus) or "")
    trained(study)
    file.rename(tmp_path / "moved.txt")
    notes = Notes()
    again = prepare_corpus(study, dataclasses.replace(context, reporter=notes))
    assert again.manifest == first.manifest
    assert notes.notes == [f"{file} is missing: using its stored texts"]
    other = Study(study.directory, with_corpus(config, name="file", path=str(file), window=24))
    with pytest.raises(InputError, match=r"settings \(.*c.txt is missing too\) changed after"):
        prepare_corpus(other, context)
    with pytest.raises(ValueError, match=r"c.txt cannot be read: .*No such file"):
        prepare_corpus(create_study(config, tmp_path / "other"), context)


def test_a_study_of_a_release_that_did_not_look_at_home_still_opens(
    smoke_config: StudyConfig, home: Path, context: StageContext
) -> None:
    write(home / "c.txt")
    config = with_corpus(smoke_config, name="file", path="~/c.txt")
    study = create_study(config, home / "study")
    first = prepare_corpus(study, context)
    publish_again(trained(study), config, "")
    assert prepare_corpus(study, context).manifest == first.manifest


def test_docstrings_of_a_package_that_is_gone_serve(
    smoke_config: StudyConfig, tmp_path: Path, context: StageContext, monkeypatch: Any
) -> None:
    source = {"name": "docs", "packages": ("yaml",), "num_documents": 60, "window": 32}
    study = trained(create_study(with_corpus(smoke_config, **source), tmp_path / "study"))
    prepare_corpus(study, context)
    monkeypatch.setattr("workbench.study.corpus_source.packages_distributions", dict)
    assert source_hash(study.config.base.corpus) is None
    prepare_corpus(study, context)


def test_a_file_that_grows_while_it_is_read_is_refused(
    smoke_config: StudyConfig, tmp_path: Path, context: StageContext, monkeypatch: Any
) -> None:
    from data import corpora

    file = tmp_path / "c.txt"
    study = create_study(
        with_corpus(smoke_config, name="file", path=write(file)), tmp_path / "study"
    )
    read = corpora.load_documents

    def growing(config: CorpusConfig) -> Any:
        yield from read(config)
        write(file, "more")

    monkeypatch.setattr(corpora, "load_documents", growing)
    with pytest.raises(InputError, match=r"c.txt: changed while it was read"):
        prepare_corpus(study, context)
    assert not study.corpus_dir.exists()


def test_wordnet_counts_by_its_bytes_and_is_missed(
    smoke_config: StudyConfig, tmp_path: Path
) -> None:
    folder = write_wordnet(tmp_path / "wordnet")
    corpus = with_corpus(smoke_config, name="glosses", path=str(folder)).base.corpus
    known = source_hash(corpus)
    assert known == source_hash(corpus)
    (folder / "data.adv").write_text((folder / "data.adv").read_text().replace("often", "always"))
    assert source_hash(corpus) != known
    shutil.rmtree(folder)
    assert source_hash(corpus) is None


def test_a_first_try_that_trained_nothing_blocks_no_other(
    smoke_config: StudyConfig, tmp_path: Path, context: StageContext
) -> None:
    config = with_corpus(smoke_config, name="file", path=write(tmp_path / "c.txt"))
    study = create_study(config, tmp_path / "study")
    prepare_corpus(study, context)
    other = with_corpus(config, name="file", path=str(tmp_path / "c.txt"), window=24)
    again = create_study(other, tmp_path / "study")
    assert prepare_corpus(again, context).window == 24
    (study.run("none", 0).vae_dir / "step-8").mkdir(parents=True)
    with pytest.raises(
        InputError, match=r"made with other settings \(base.corpus.window: 24 -> 16"
    ):
        create_study(config, tmp_path / "study")


@pytest.mark.parametrize(
    ("texts", "fraction", "message"),
    [
        (
            [f"text {n} is here" for n in range(8)],
            0.1,
            r"of 8 distinct text\(s\), \d of two or more",
        ),
        (["the same text"] * 300, 0.1, r"of 1 distinct text\(s\), 0 .* needs 8: give 160 or more"),
        (
            [f"text {n} is here" for n in range(40)],
            0.0,
            r"needs 8: raise corpus.test_fraction \(now 0\)",
        ),
        (list("abcdefghijklmnopqrst"), 0.3, r"of 20 distinct text\(s\), 0 of two or more tokens"),
    ],
)
def test_too_little_to_test_on_is_said_and_leaves_nothing_in_the_way(
    smoke_config: StudyConfig,
    tmp_path: Path,
    context: StageContext,
    texts: list[str],
    fraction: float,
    message: str,
) -> None:
    file = tmp_path / "c.txt"
    file.write_text("\n".join(texts))
    source = {"name": "file", "path": str(file), "vocabulary_size": 2000}
    config = with_corpus(smoke_config, **source, test_fraction=fraction)
    with pytest.raises(InputError, match=message) as caught:
        prepare_corpus(create_study(config, tmp_path / "study"), context)
    assert str(file) in str(caught.value)
    assert not (tmp_path / "study" / "corpus").exists()
    write(file)
    enough = with_corpus(smoke_config, **source)
    prepare_corpus(create_study(enough, tmp_path / "study"), context)
