"""One path, one meaning: every spelling of a place gives the same settings."""

import os
from pathlib import Path

import pytest

from workbench.config.places import absolute, settled
from workbench.config.request import study_config
from workbench.config.study import StudyConfig

NAMES = ("c.txt", "with space.txt", "Project #1.txt", "Zoë ✓ данные.txt", "a: b.txt", "007")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home with a folder, a link to it, and the command started from the folder."""
    folder = tmp_path / "home" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(folder)
    return tmp_path / "home"


@pytest.mark.parametrize("name", NAMES)
def test_every_spelling_of_a_path_is_one(home, name):
    place = home / "data" / name
    spellings = (
        str(place), name, f"./{name}", f"~/data/{name}", f"../data/{name}", f"{name}/",
        f"{home.parent}/link/{name}", f"{home}/data/../data/{name}",
    )  # fmt: skip
    assert {absolute(spelling) for spelling in spellings} == {place}


def test_a_link_keeps_its_name_and_a_folder_may_end_in_dots(home):
    (home / "data" / "blob").write_text("text")
    (home / "data" / "c.txt").symlink_to("blob")
    assert absolute("c.txt") == home / "data" / "c.txt"  # `blob` has no ending to read it by
    assert absolute("..") == home
    assert absolute("/") == Path("/")


def with_path(path: str, **settings: str) -> StudyConfig:
    given = {"corpus.name": "file", "corpus.path": path, **settings}
    overrides = [f"base.{key}={value}" for key, value in given.items()]
    return study_config(preset="smoke", overrides=overrides)


@pytest.mark.parametrize("name", NAMES)
def test_settings_enter_with_the_one_spelling(home, tmp_path, name):
    place = str(home / "data" / name)
    assert with_path(f"~/data/{name}") == with_path(name) == with_path(place)
    assert with_path(name).base.corpus.path == place
    file = home / "study.yaml"
    file.write_text(f"preset: smoke\nbase:\n  corpus:\n    name: file\n    path: '~/data/{name}'\n")
    assert study_config(file="~/study.yaml") == with_path(place)


def test_models_and_data_sets_are_paths_where_they_look_like_one(home):
    (home / "data" / "col").mkdir()
    names = {"teacher.name": "hf:col", "evaluation.encoder": "hf:~/data/enc"}
    config = with_path("c.txt", **names)
    assert config.base.teacher.name == f"hf:{home}/data/col"
    assert config.base.evaluation.encoder == f"hf:{home}/data/enc"
    assert (
        with_path("c.txt", **{"teacher.name": "hf:org/model"}).base.teacher.name == "hf:org/model"
    )
    for given, kept in (
        ("org/set", "org/set"),
        ("~/data/set", f"{home}/data/set"),
        ("col", f"{home}/data/col"),
    ):
        overrides = ["base.corpus.name=hf", f"base.corpus.hf_name={given}"]
        assert study_config(preset="smoke", overrides=overrides).base.corpus.hf_name == kept
    arms = study_config(preset="smoke", overrides=['arms={a: {teacher.name: "hf:./col"}}']).arms
    assert arms == {"a": {"teacher.name": f"hf:{home}/data/col"}}


def test_a_study_keeps_the_spelling_it_was_made_with(home):
    (home / "data" / "c.txt").write_text("text")
    (home / "data" / "same.txt").symlink_to("c.txt")
    for spelling in ("c.txt", "~/data/c.txt", "same.txt"):
        stored = study_config(
            preset="smoke", overrides=["base.corpus.name=file", "base.corpus.path=x"]
        )
        object.__setattr__(stored.base.corpus, "path", spelling)  # as an earlier release stored it
        assert settled(with_path("~/data/c.txt"), stored).base.corpus.path == spelling
        assert study_config(stored=stored).base.corpus.path == spelling
        other = settled(with_path("d.txt"), stored).base.corpus.path
        assert other == os.path.join(home, "data", "d.txt")
