"""A model's weights, complete or refused: nothing that is read may be missing, unused or damaged.

transformers fills a missing weight with random numbers and leaves an unknown one out, with a
warning at most. Here both are errors in the part whose hidden states are read; heads and towers for
other inputs may lack weights or have more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

SINGLE_FILE = "model.safetensors"
SHARD_INDEX = "model.safetensors.index.json"
POINTER = b"version https://git-lfs"
NAMES_SHOWN = 3
CONVERT = (
    'python -c "from transformers import AutoModel as A; '
    "A.from_pretrained('{directory}', use_safetensors=False).save_pretrained('{directory}')\""
)
# Nothing reads the pooled sentence vector, and the constant is no weight.
UNREAD = ("pooler",)
CONSTANT = "masked_bias"
# What transformers raises on foreign configs and files; a request to stop is none of these.
UNLOADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError, IndexError
)  # fmt: skip


def load_base_model(directory: Path, name: str, dtype: torch.dtype | str) -> Any:
    """The model of a directory that maps token ids to hidden states; of several parts, the text's.

    Args:
        directory: Holds `config.json` and the weights as safetensors.
        name: What errors call the model.
        dtype: Of the weights in memory; `auto` keeps the stored one.

    Raises:
        ValueError: in one line that names the model and the file: damaged or pickled weights, some
            that are read are missing, unused or of another shape, or no text model.
    """
    from transformers import AutoConfig, AutoModel

    with named_errors(name, directory / "config.json"):
        config = AutoConfig.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
    if config.is_encoder_decoder:
        raise ValueError(f"model {name} is an encoder-decoder; name a causal or a masked LM")
    if getattr(config.get_text_config(), "vocab_size", None) is None:
        raise ValueError(f"model {name}: {config.model_type} reads no text (no vocab_size)")
    files = weight_files(directory, name)
    with quiet_loading(), named_errors(name, directory):
        model, report = AutoModel.from_pretrained(
            directory,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # reported below, by name
            output_loading_info=True,
            dtype=dtype,
        )
    path, text = text_part(model, name)
    source = (
        f"model {name}: {shown(files[0] if len(files) == 1 else directory / SHARD_INDEX, name)}"
    )
    refuse_gaps(text, path, model.base_model_prefix, report, source)
    return text


def weight_files(directory: Path, name: str) -> list[Path]:
    """The safetensors files of a model, each with a sound header and of full length.

    Raises:
        ValueError: there is none, one is missing, truncated or a Git LFS pointer.
    """
    from safetensors import SafetensorError, safe_open

    files = _listed_files(directory, name)
    for file in files:
        if not file.is_file():
            raise ValueError(
                f"model {name}: {shown(file, name)} is missing; {SHARD_INDEX} lists it"
            )
        with file.open("rb") as content:
            if content.read(len(POINTER)) == POINTER:
                raise ValueError(
                    f"model {name}: {shown(file, name)} is a Git LFS pointer and holds no weights; "
                    "run `git lfs pull`"
                )
        try:
            with safe_open(file, framework="pt"):
                pass
        except SafetensorError as error:
            raise ValueError(
                f"model {name}: {shown(file, name)} is damaged ({first_line(error)}); "
                "fetch it again"
            ) from error
    return files


def _listed_files(directory: Path, name: str) -> list[Path]:
    if (directory / SINGLE_FILE).is_file():
        return [directory / SINGLE_FILE]
    index = directory / SHARD_INDEX
    if index.is_file():
        try:
            shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ValueError(
                f"model {name}: {shown(index, name)} is damaged; fetch it again"
            ) from error
        return [directory / shard for shard in shards]
    pickles = [*sorted(directory.glob("*.bin")), *sorted(directory.glob("*.pt"))]
    if pickles:
        recipe = CONVERT.format(directory=directory)
        raise ValueError(
            f"model {name}: {pickles[0].name} is a pickle, which is never read; "
            f"if you trust it, convert it: {recipe}"
        )
    raise ValueError(f"model {name}: {directory} has no {SINGLE_FILE}")


def text_part(model: Any, name: str) -> tuple[str, Any]:
    """The module of a model that reads text, and its path inside the model ('' for all of it).

    Raises:
        ValueError: the model has a text configuration but no part of its own for it.
    """
    from transformers import PreTrainedModel

    config = model.config.get_text_config()
    if config is model.config:
        return "", model
    for path, module in model.named_modules():
        if isinstance(module, PreTrainedModel) and module.config is config:
            return path, module
    raise ValueError(f"model {name}: no part of a {model.config.model_type} reads text alone")


def refuse_gaps(
    text: nn.Module, path: str, prefix: str, report: Mapping[str, Collection[Any]], source: str
) -> None:
    """Refuse what transformers left out or made up in the part that is read.

    Args:
        text: The module whose hidden states are read.
        path: Where the loaded model keeps it; '' when it is all of it.
        prefix: What checkpoints with heads put before the base model's names.
        report: transformers' loading report: missing, unexpected and mismatched keys.
        source: Model and file, for the message.
    """
    read = {child for child, _ in text.named_children() if child not in UNREAD}
    inside = f"{path}." if path else ""

    def own(key: str) -> str:
        return key.removeprefix(f"{prefix}.").removeprefix(inside)

    def belongs(key: str) -> bool:
        return own(key).partition(".")[0] in read and not key.endswith(CONSTANT)

    def is_needed(key: str) -> bool:
        return key.startswith(inside) and own(key).partition(".")[0] not in UNREAD

    missing = sorted(key for key in report["missing_keys"] if is_needed(key))
    unused = sorted(key for key in report["unexpected_keys"] if belongs(key))
    resized = sorted(entry for entry in report["mismatched_keys"] if is_needed(entry[0]))
    if resized:
        key, stored, wanted = resized[0]
        raise ValueError(
            f"{source} does not fit config.json: {key} is {tuple(stored)} in the file and "
            f"{tuple(wanted)} by the configuration{_more(len(resized) - 1)}"
        )
    if missing:
        renamed = sorted(key for key in report["unexpected_keys"] if key.endswith(missing[0]))
        instead = f" (it holds {renamed[0]}, which fits nowhere)" if renamed else ""
        raise ValueError(
            f"{source} lacks weights that are read, and random ones would take their place: "
            f"{_listed(missing)}{instead}"
        )
    if unused:
        raise ValueError(
            f"{source} has weights that config.json leaves no place for in the layers that are "
            f"read: {_listed(unused)}"
        )


def shown(file: Path, name: str) -> str:
    """A model's file for a message: its name alone where the model's name holds the folder."""
    return file.name if str(file.parent) in name else str(file)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + _more(len(names) - NAMES_SHOWN)


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


@contextmanager
def named_errors(name: str, source: Path) -> Iterator[None]:
    """Turn what transformers raises into one line that names the model and where it lies."""
    try:
        yield
    except UNLOADABLE as error:
        if "memory" in str(error).lower():
            raise
        where = shown(source, name)
        raise ValueError(f"model {name}: cannot load {where} ({first_line(error)})") from error


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Without transformers' progress bar and report, both as they were afterwards."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its class where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
