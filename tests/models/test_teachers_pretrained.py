"""Finding models: directories, the cache, a missing network, and what is refused."""

import json
import shutil
import time

import pytest
from tiny_pretrained import save_tiny_bert, save_tiny_gpt2

from models.configs.teacher import TeacherConfig
from models.teachers import load_teacher, pretrained
from models.teachers.pretrained import find_model


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """An empty cache, and a hub at a port where nothing listens."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "cache"


def test_missing_model_without_network_is_refused_quickly_naming_the_folder(no_network):
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"models--acme--nothing.*cannot be reached") as caught:
        load_teacher(TeacherConfig(name="hf:acme/nothing"))
    assert time.monotonic() - start < 5
    assert str(no_network) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hub_that_never_answers_is_given_up(no_network, monkeypatch):
    class SilentHub:
        def model_info(self, *args, **kwargs):
            time.sleep(30)

    monkeypatch.setattr("huggingface_hub.HfApi", SilentHub)
    monkeypatch.setattr(pretrained, "HUB_TIMEOUT_S", 0.1)
    start = time.monotonic()
    with pytest.raises(ValueError, match="cannot be reached"):
        find_model("acme/nothing")
    assert time.monotonic() - start < 2


def test_offline_mode_does_not_ask(no_network, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(pretrained, "_ask_hub", lambda identifier: pytest.fail("asked the hub"))
    with pytest.raises(ValueError, match="models--acme--nothing"):
        find_model("acme/nothing")


def test_cached_model_is_used_without_asking(no_network, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    folder = no_network / "models--acme--tiny"
    save_tiny_bert(folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    monkeypatch.setattr(pretrained, "_ask_hub", lambda identifier: pytest.fail("asked the hub"))
    assert find_model("acme/tiny") == folder / "snapshots" / commit


@pytest.mark.parametrize("path", ["/nowhere/model", "./nowhere", "../nowhere", "a/b/c"])
def test_missing_directory_is_named(path):
    with pytest.raises(ValueError, match=f"{path} does not exist"):
        find_model(path)


def test_a_name_that_is_neither_directory_nor_id_is_refused(no_network):
    with pytest.raises(ValueError, match="neither a directory nor a model id"):
        find_model("what is this?")


def test_directory_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no config\.json"):
        load_teacher(TeacherConfig(name=f"hf:{tmp_path}"))


def test_model_without_tokenizer_is_refused(tmp_path):
    save_tiny_gpt2(tmp_path)
    for file in tmp_path.glob("*token*"):
        file.unlink()
    with pytest.raises(ValueError, match=r"no tokenizer in .*tokenizer\.json"):
        load_teacher(TeacherConfig(name=f"hf:{tmp_path}"))


def test_tokenizer_of_a_larger_model_is_refused(tmp_path):
    save_tiny_bert(tmp_path / "bert")
    save_tiny_gpt2(tmp_path / "gpt2")
    for file in (tmp_path / "gpt2").glob("*token*"):
        shutil.copy(file, tmp_path / "bert")
    with pytest.raises(ValueError, match="do not belong together"):
        load_teacher(TeacherConfig(name=f"hf:{tmp_path / 'bert'}"))


def test_encoder_decoder_is_refused(tmp_path):
    from transformers import T5Config, T5Model

    config = T5Config(vocab_size=300, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    save_tiny_gpt2(tmp_path / "gpt2")
    T5Model(config).save_pretrained(tmp_path / "t5")
    for file in (tmp_path / "gpt2").glob("*token*"):
        shutil.copy(file, tmp_path / "t5")
    with pytest.raises(ValueError, match="encoder-decoder"):
        load_teacher(TeacherConfig(name=f"hf:{tmp_path / 't5'}"))


def test_saved_tokenizer_settings_do_not_pad_or_cut_our_batches(tmp_path):
    save_tiny_bert(tmp_path)
    path = tmp_path / "tokenizer.json"
    settings = json.loads(path.read_text())
    settings["truncation"] = {
        "max_length": 4, "stride": 0, "strategy": "LongestFirst", "direction": "Right",
    }  # fmt: skip
    path.write_text(json.dumps(settings))
    teacher = load_teacher(TeacherConfig(name=f"hf:{tmp_path}"))
    (text,) = teacher.backbone.tokenise(["Sam smiled. Anna stayed home."])
    assert len(text.token_ids) > 4
