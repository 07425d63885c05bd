"""Teachers with gaps, damage or unusual positions: used rightly, or refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_pretrained import (
    LAYERS,
    SAVERS,
    TEXTS,
    WIDTH,
    save_tiny_bert,
    save_tiny_bloom,
    save_tiny_gemma3,
    save_tiny_gpt2,
    save_tiny_mamba,
    save_tiny_roberta,
    save_tiny_xlnet,
)

from models.configs.teacher import TeacherConfig
from models.teachers import load_teacher
from models.teachers.pretrained import load_pretrained
from models.text_encoder import load_text_encoder

WEIGHTS = "model.safetensors"
LONG = " ".join(["the old baker lost a silver key"] * 40)


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    monkeypatch.setattr("models.precision.has_fast_bfloat16", lambda device: False)


def rewrite(directory: Path, change) -> None:
    """Give the model of a directory the weights that `change` makes of its own."""
    weights = load_file(directory / WEIGHTS)
    save_file(change(weights), directory / WEIGHTS, metadata={"format": "pt"})


def without(*parts: str):
    return lambda weights: {
        name: tensor for name, tensor in weights.items() if not any(p in name for p in parts)
    }


def with_zeros(*names: str):
    return lambda weights: {**weights, **{name: torch.zeros(3) for name in names}}


def refusal(directory: Path) -> str:
    """The one line with which a teacher is refused; it names the model."""
    with pytest.raises(ValueError, match=str(directory)) as caught:
        load_pretrained(f"hf:{directory}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def states(directory: Path, layer: int = -1) -> torch.Tensor:
    offsets = [np.array([[0, len(text)]]) for text in TEXTS]
    teacher = load_teacher(TeacherConfig(name=f"hf:{directory}", layer=layer))
    return teacher.token_states(TEXTS, offsets).states[layer]


def test_a_missing_layer_is_named(tmp_path):
    rewrite(save_tiny_bert(tmp_path), without("encoder.layer.1."))
    message = refusal(tmp_path)
    assert WEIGHTS in message
    assert "encoder.layer.1.attention.output.LayerNorm.bias" in message
    assert "and 13 more" in message


def test_names_under_a_foreign_prefix_are_shown(tmp_path):
    rewrite(
        save_tiny_bert(tmp_path),
        lambda weights: {f"encoder_model.{name}": tensor for name, tensor in weights.items()},
    )
    assert "it holds encoder_model.embeddings.LayerNorm.bias" in refusal(tmp_path)


def test_the_embedder_of_scores_is_as_strict(tmp_path):
    rewrite(save_tiny_bert(tmp_path), without("encoder.layer.1."))
    with pytest.raises(ValueError, match=r"encoder\.layer\.1"):
        load_text_encoder(f"hf:{tmp_path}")


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_a_layer_beyond_the_configuration_is_named(tmp_path, prefix):
    name = f"{prefix}encoder.layer.{LAYERS}.output.dense.weight"
    rewrite(
        save_tiny_bert(tmp_path),
        lambda weights: (
            {f"{prefix}{key}": tensor for key, tensor in weights.items()}
            | {name: torch.zeros(WIDTH, WIDTH)}
        ),
    )
    assert name in refusal(tmp_path)


def test_heads_may_be_missing_or_unused(tmp_path):
    save_tiny_bert(tmp_path)
    before = states(tmp_path)
    rewrite(tmp_path, without("pooler"))
    assert torch.equal(states(tmp_path), before)
    rewrite(tmp_path, with_zeros("cls.predictions.bias", "classifier.weight", "qa_outputs.bias"))
    assert torch.equal(states(tmp_path), before)


def test_weights_of_another_size_are_named_with_both_shapes(tmp_path):
    save_tiny_bert(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}))
    message = refusal(tmp_path)
    assert "encoder.layer.0.intermediate.dense.bias is (32,) in the file and (48,)" in message
    assert WEIGHTS in message


@pytest.mark.parametrize(
    ("damage", "wanted"),
    [
        (lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (lambda content: content[:-1000], "damaged"),
        (lambda content: b"", "damaged"),
    ],
    ids=["pointer", "truncated", "empty"],
)
def test_damaged_weights_are_named(tmp_path, damage, wanted):
    file = save_tiny_bert(tmp_path) / WEIGHTS
    file.write_bytes(damage(file.read_bytes()))
    message = refusal(tmp_path)
    assert WEIGHTS in message
    assert wanted in message


def test_a_shard_that_is_missing_or_truncated_is_named(tmp_path):
    save_tiny_bert(tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    (tmp_path / WEIGHTS).unlink()
    names = sorted(weights)
    shards = {"a.safetensors": names[:20], "b.safetensors": names[20:]}
    for shard, held in shards.items():
        save_file({name: weights[name] for name in held}, tmp_path / shard, {"format": "pt"})
    index = tmp_path / "model.safetensors.index.json"
    where = {name: shard for shard, held in shards.items() for name in held}
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    assert len(states(tmp_path)) == len(TEXTS)
    whole = (tmp_path / "b.safetensors").read_bytes()
    (tmp_path / "b.safetensors").write_bytes(whole[:-10])
    assert "b.safetensors is damaged" in refusal(tmp_path)
    (tmp_path / "b.safetensors").unlink()
    assert "b.safetensors is missing" in refusal(tmp_path)
    index.write_text("{}")
    assert "index.json is damaged" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_other_damaged_files_are_named(tmp_path, name):
    file = save_tiny_bert(tmp_path) / name
    file.write_text(file.read_text()[:-100])
    assert name in refusal(tmp_path)


def test_pickles_are_refused_with_a_recipe(tmp_path):
    save_tiny_bert(tmp_path)
    (tmp_path / WEIGHTS).rename(tmp_path / "pytorch_model.bin")
    message = refusal(tmp_path)
    assert "pytorch_model.bin is a pickle" in message
    assert "save_pretrained" in message


@pytest.mark.parametrize("save", [save_tiny_bloom, save_tiny_mamba, save_tiny_xlnet])
def test_without_a_position_limit_no_text_is_cut(tmp_path, save):
    teacher = load_teacher(TeacherConfig(name=f"hf:{save(tmp_path)}", layer=1))
    assert teacher.max_length is None
    found = teacher.token_states([LONG], [np.array([[0, 3], [len(LONG) - 3, len(LONG)]])])
    assert found.valid.all()


def test_roberta_reads_as_many_tokens_as_it_has_positions(tmp_path):
    teacher = load_teacher(TeacherConfig(name=f"hf:{save_tiny_roberta(tmp_path, table=34)}"))
    assert teacher.max_length == 32
    found = teacher.token_states([LONG], [np.array([[0, 3], [len(LONG) - 3, len(LONG)]])])
    assert found.valid.tolist() == [True, False]


def test_of_a_multimodal_model_the_text_part_is_read(tmp_path):
    save_tiny_gemma3(tmp_path)
    before = states(tmp_path)
    rewrite(tmp_path, without("vision"))
    assert torch.equal(states(tmp_path), before)
    rewrite(tmp_path, without("layers.2."))
    assert "layers.2." in refusal(tmp_path)


def test_a_model_without_texts_is_refused(tmp_path):
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    ViTModel(config).save_pretrained(tmp_path)
    assert "vit reads no text" in refusal(tmp_path)


def test_a_model_that_mixes_padding_in_is_refused(tmp_path):
    """FNet mixes all positions; transformers takes a mask for it and leaves it unread."""
    from transformers import FNetConfig, FNetModel

    save_tiny_gpt2(tmp_path)
    config = FNetConfig(
        vocab_size=300, hidden_size=16, num_hidden_layers=2, intermediate_size=16, pad_token_id=0
    )
    FNetModel(config).save_pretrained(tmp_path)
    assert "padding changes its states" in refusal(tmp_path)


def test_a_model_that_takes_no_token_ids_is_refused(tmp_path):
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    save_tiny_gpt2(tmp_path)
    config = Wav2Vec2Config(
        vocab_size=300,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=[8],
        conv_kernel=[3],
        conv_stride=[2],
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2Model(config).save_pretrained(tmp_path)
    assert "Wav2Vec2Model does not run on token ids" in refusal(tmp_path)


@pytest.mark.parametrize("kind", sorted(SAVERS))
def test_whether_a_model_sees_later_tokens_is_measured(tmp_path, kind):
    backbone = load_pretrained(f"hf:{SAVERS[kind](tmp_path)}")
    assert backbone.causal == (kind not in ("bert", "roberta", "xlnet"))
