"""Files from the browser are checked on the server, whatever the browser let through."""

from __future__ import annotations

import io
import pickle
import shlex

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save

from workbench.config.arms import STANDARD_ARMS, standard_arms
from workbench.config.request import study_config
from workbench.errors import InputError
from workbench.ui.sections.new_study import study_request
from workbench.ui.sections.new_study.study_request import (
    StudyRequest,
    override_lines,
    preset_arms,
    store_upload,
    study_arguments,
)
from workbench.ui.sections.runs import vector_files
from workbench.ui.sections.runs.own_vectors import read_upload
from workbench.ui.sections.runs.vector_files import read_texts, read_vectors


class Upload:
    """What Streamlit hands over."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self._content, self.size = name, content, len(content)

    def getvalue(self) -> bytes:
        return self._content


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


ROWS = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", npy(ROWS)),
        ("a.safetensors", save({"x": ROWS})),
        ("a.PARQUET", parquet(pd.DataFrame(ROWS, columns=list("abc")).assign(text="t"))),
        ("ints.npy", npy(np.arange(24).reshape(8, 3))),
    ],
)
def test_good_vectors_are_read(name, content):
    rows = read_vectors(name, content).rows
    assert rows.shape == (8, 3)
    assert rows.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.pkl", pickle.dumps(ROWS), "not one of"),
        ("a.npy", npy(np.array([{"a": 1}] * 4, object), allow_pickle=True), "cannot be read"),
        ("a.npy", pickle.dumps(ROWS), "cannot be read"),
        ("a.npy", b"", "bytes"),
        ("a.npy", npy(np.zeros(5)), "matrix"),
        ("a.npy", npy(np.zeros((2, 5))), "matrix"),
        ("a.npy", npy(np.zeros((5, 1))), "matrix"),
        ("a.npy", npy(np.zeros((vector_files.MOST_ROWS + 1, 2), np.int8)), "at most"),
        ("a.npy", npy(np.zeros((3, vector_files.MOST_COLUMNS + 1), np.int8)), "at most"),
        ("a.npy", npy(np.full((4, 3), np.nan)), "not finite"),
        ("a.npy", npy(np.array([["a", "b"]] * 4)), "numbers"),
        ("a.safetensors", save({"x": ROWS, "y": ROWS}), "2 tensors"),
        ("a.safetensors", b"12345678{}", "cannot be read"),
        ("a.parquet", b"PAR1 and nothing more", "cannot be read"),
    ],
)
def test_bad_vectors_are_refused_by_name(name, content, word):
    with pytest.raises(InputError, match=word) as raised:
        read_vectors(name, content)
    assert name in str(raised.value)


def test_file_over_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(vector_files, "LARGEST_BYTES", 10)
    with pytest.raises(InputError, match="bytes"):
        read_vectors("a.npy", npy(ROWS))
    monkeypatch.setattr(study_request, "LARGEST_UPLOAD", 3)
    with pytest.raises(InputError, match="bytes"):
        store_upload(Upload("a.txt", b"four"))


def test_counts_must_agree():
    with pytest.raises(InputError, match="different numbers"):
        read_upload([Upload("a.npy", npy(ROWS)), Upload("b.npy", npy(ROWS[:5]))], None)
    with pytest.raises(InputError, match="2 texts for 8"):
        read_upload([Upload("a.npy", npy(ROWS))], Upload("t.txt", b"one\ntwo"))
    own = read_upload([Upload("a.npy", npy(ROWS)), Upload("a.npy", npy(ROWS))], None)
    assert len(own.spaces) == 2
    assert len(own.texts) == 8


def test_texts_are_read_and_refused():
    assert read_texts("t.txt", "\ufeffa\nb".encode()) == ["a", "b"]
    assert read_texts("t.csv", b"text,x\nhello,1\n") == ["hello"]
    with pytest.raises(InputError, match="column"):
        read_texts("t.csv", b"words\nhello\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_texts("t.txt", b"\xff\xfe\xfa")


def request(**changes) -> StudyRequest:
    values = {
        "preset": "smoke", "name": "mine", "corpus": "stories", "path": "", "text_column": "",
        "hf_name": "", "arms": ("none", "repa"), "num_seeds": 1, "teacher": "minilm",
        "overrides": (),
    }  # fmt: skip
    return StudyRequest(**{**values, **changes})


def test_form_becomes_the_settings_it_shows():
    config, arguments = study_arguments(
        request(
            arms=("none", "repa", "permuted"), num_seeds=2, overrides=("base.vae.latent_width=12",)
        )
    )
    assert config.name == "mine"
    assert list(config.arms) == ["none", "repa", "permuted"]
    assert config.seeds == (0, 1)
    assert config.base.vae.latent_width == 12
    again = study_config(preset="smoke", overrides=arguments[3:])
    assert again == config


def test_arms_chosen_are_aligned_as_strongly_as_the_presets():
    arms = ("none", "repa", "permuted")
    config, _ = study_arguments(request(preset="demo", arms=arms))
    weights = [config.run(arm, 0).vae_loss.repa_weight for arm in arms]
    assert weights == [0.0, 3.0, 3.0]
    assert config.run("repa", 0) == study_config(preset="demo").run("repa", 0)


def test_every_standard_arm_is_what_its_preset_makes_of_it():
    config, _ = study_arguments(request(preset="demo", arms=tuple(STANDARD_ARMS)))
    for arm, own in standard_arms(STANDARD_ARMS, 3.0).items():
        assert config.arms[arm] == own
    assert config.run("gram", 0).vae_loss.alignment == "gram"
    assert config.run("irepa", 0).teacher.standardise == "sequence"
    assert config.run("deep", 0).vae.projector == "deep"


@pytest.mark.parametrize("preset", ["alignments", "scorecard"])
def test_a_presets_own_arms_stay_whichever_are_left_out(preset):
    stored = study_config(preset=preset).arms
    assert preset_arms(preset) == list(stored)
    config, _ = study_arguments(request(preset=preset, arms=(*list(stored)[-2:], "repa")))
    assert config.arms == {arm: stored[arm] for arm in (*list(stored)[-2:], "repa")}


@pytest.mark.parametrize(
    "value", ["0", "2024", "Text: body", "review #", "a=b", '"q"', " x ", "Zoë"]
)
def test_the_form_hands_its_values_over_as_they_are(value, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / f"Project #1: {value}" / "c.csv")
    config, arguments = study_arguments(
        request(corpus="upload", path=path, text_column=value, name="2024")
    )
    assert config.base.corpus.text_column == value
    assert config.base.corpus.path == path
    assert config.name == "2024"
    config, _ = study_arguments(request(corpus="hf", hf_name=value, text_column=value))
    assert (config.base.corpus.hf_name, config.base.corpus.text_column) == (value, value)
    words = shlex.split(study_request.terminal_command(arguments))
    assert words == ["python", "-m", "workbench", "study", *arguments]


def test_lines_of_settings_part_at_line_feeds_alone():
    typed = "base.seed=1\r\n\n base.corpus.text_column=a\u2028b \n"
    assert override_lines(typed) == ("base.seed=1", "base.corpus.text_column=a\u2028b ")


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "", ".hidden", "a b", "a/b", "ä", "..", "x\n"])
def test_name_cannot_leave_the_runs_directory(name):
    with pytest.raises(InputError, match="name"):
        request(name=name)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"arms": ()}, "arm"),
        ({"corpus": "upload"}, "upload"),
        ({"corpus": "hf"}, "data set"),
    ],
)
def test_incomplete_form_is_refused(changes, word):
    with pytest.raises(InputError, match=word):
        request(**changes)


def test_unknown_setting_is_refused():
    with pytest.raises(ValueError, match="latent_widht"):
        study_arguments(request(overrides=("base.vae.latent_widht=12",)))


def test_upload_is_kept_by_content_under_the_runs_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    path = store_upload(Upload("../../evil.txt", b"a text\n"))
    assert path.startswith(str(tmp_path / ".uploads"))
    assert path == store_upload(Upload("other.txt", b"a text\n"))
    with pytest.raises(InputError, match="not one of"):
        store_upload(Upload("a.exe", b"x"))
