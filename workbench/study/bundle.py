"""The latent bundle: a model's latents of texts, in three files that anyone can write.

`latents.safetensors` holds the numbers and `texts.parquet` one row per text. `bundle.json` says
where they come from and has the sha256 of the other two. `docs/BUNDLES.md` describes every field.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workbench.config.places import absolute
from workbench.errors import DamagedArtefactError, InputError
from workbench.store.atomic import publish
from workbench.store.json_files import read_json
from workbench.store.schema import Schema

LATENTS, TEXTS, DESCRIPTION = "latents.safetensors", "texts.parquet", "bundle.json"
BUNDLE_SCHEMA = Schema(name="latent bundle", version=1, needs_release="0.1.0")
LABEL = "label:"
CONVERT = (
    'convert it: python -c "import torch, safetensors.torch as s; '
    "s.save_file({'z': torch.load('FILE', weights_only=True)}, 'latents.safetensors')\""
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """N texts and their latents.

    Attributes:
        texts: N texts.
        z: (N, L, D) one latent per token, or (N, D) one per text; finite.
        mask: (N, L) bool, True = a real token; None for one latent per text.
        tokens: N lists of token texts, one for each True in the text's mask; None if unknown.
        offsets: N arrays (n_i, 2), start and end character of each token; None if unknown.
        labels: label set -> N class names, None = missing.
        std: posterior standard deviations with the shape of `z`; None if the model has none.
        cuts: (N,) int64, number of context tokens encoded separately; None for whole texts.
        latent_mean: (D,) undoes the normalisation of `z`; None if `z` is not normalised.
        latent_std: see `latent_mean`.
        token_embedding: (V, W) the model's own token embeddings; None if unknown.
        about: the other entries of `bundle.json`: `provenance`, `padding`, `flow`, `tokenizer`.
    """

    texts: Sequence[str]
    z: np.ndarray
    mask: np.ndarray | None = None
    tokens: Sequence[Sequence[str]] | None = None
    offsets: Sequence[np.ndarray] | None = None
    labels: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    std: np.ndarray | None = None
    cuts: np.ndarray | None = None
    latent_mean: np.ndarray | None = None
    latent_std: np.ndarray | None = None
    token_embedding: np.ndarray | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, z = len(self.texts), self.z
        if z.ndim not in (2, 3) or len(z) != n:
            raise InputError(f"{LATENTS}: z must be ({n}, L, D) or ({n}, D), it is {z.shape}")
        if (z.ndim == 3) != (self.mask is not None):
            raise InputError(f"{LATENTS}: mask goes with a z of shape (N, L, D), and only with it")
        if (self.latent_mean is None) != (self.latent_std is None):
            raise InputError(f"{LATENTS}: latent_mean and latent_std go together")
        wanted = {
            "mask": z.shape[:2],
            "std": z.shape,
            "cuts": (n,),
            "latent_mean": z.shape[-1:],
            "latent_std": z.shape[-1:],
        }
        for name, shape in wanted.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise InputError(f"{LATENTS}: {name} must be {shape}, it is {value.shape}")
        for name in ("z", "std", "latent_mean", "latent_std", "token_embedding"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value).all():
                bad = np.argwhere(~np.isfinite(value))[0][0]
                raise InputError(f"{LATENTS}: {name} is not finite in row {bad}")
        for name, rows in (("tokens", self.tokens), ("offsets", self.offsets)):
            self._check_counts(name, rows)
        self._check_labels()

    def _check_labels(self) -> None:
        """Check that each label has a plain name and one class name, or None, per text."""
        for name, classes in self.labels.items():
            # Names become parts of file names.
            if not re.fullmatch(r"\w[\w ()-]{0,59}", name):
                raise InputError(
                    f"{TEXTS}: {LABEL}{name[:60]}: a label's name is at most 60 letters, digits, "
                    "spaces, hyphens and brackets"
                )
            if len(classes) != len(self.texts):
                raise InputError(
                    f"{TEXTS}: {LABEL}{name} has {len(classes)} rows for {len(self.texts)} texts"
                )
            odd = next((c for c in classes if not isinstance(c, str | None)), None)
            if odd is not None:
                raise InputError(
                    f"{TEXTS}: {LABEL}{name} must hold class names, one is {odd!r}; quote it"
                )

    def _check_counts(self, name: str, rows: Sequence[Any] | None) -> None:
        """Check that each text has as many entries as its mask has tokens."""
        if rows is None:
            return
        if self.mask is None or len(rows) != len(self.texts):
            raise InputError(f"{TEXTS}: {name} needs one row per text, and latents per token")
        counts = self.mask.sum(axis=1)
        wrong = [i for i, row in enumerate(rows) if len(row) != counts[i]]
        if wrong:
            i = wrong[0]
            raise InputError(
                f"{TEXTS}: row {i} has {len(rows[i])} {name}, its mask {counts[i]} tokens"
            )


def write_bundle(directory: str | Path, bundle: Bundle) -> Path:
    """Write a bundle completely or not at all.

    Args:
        directory: its folder; an existing bundle there is replaced.
        bundle: the bundle to write.

    Returns:
        The folder.

    Raises:
        InputError: the folder exists and is not a bundle.
    """
    from safetensors.numpy import save_file

    directory = absolute(str(directory))
    if directory.exists() and not (directory / DESCRIPTION).is_file():
        raise InputError(f"{directory}: is there and is no bundle; name another folder")
    names = ("z", "mask", "std", "cuts", "latent_mean", "latent_std", "token_embedding")
    tensors = {name: getattr(bundle, name) for name in names}
    with publish(directory) as folder:
        save_file(
            {k: np.ascontiguousarray(v) for k, v in tensors.items() if v is not None},
            folder / LATENTS,
        )
        _write_texts(bundle, folder / TEXTS)
        document = BUNDLE_SCHEMA.stamp({**bundle.about, "files": file_hashes(folder)})
        (folder / DESCRIPTION).write_text(json.dumps(document, indent=2, sort_keys=True))
    return directory


def _write_texts(bundle: Bundle, file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"text": pa.array(list(bundle.texts), pa.string())}
    if bundle.tokens is not None:
        columns["tokens"] = pa.array([list(row) for row in bundle.tokens], pa.list_(pa.string()))
    if bundle.offsets is not None:
        for place, name in enumerate(("starts", "ends")):
            rows = [np.asarray(row).reshape(-1, 2)[:, place].tolist() for row in bundle.offsets]
            columns[name] = pa.array(rows, pa.list_(pa.int32()))
    for name, classes in bundle.labels.items():
        columns[f"{LABEL}{name}"] = pa.array(list(classes), pa.string())
    pq.write_table(pa.table(columns), file)


def file_hashes(folder: Path) -> dict[str, str]:
    """File name -> sha256 of the two files that `bundle.json` describes."""
    hashes = {}
    for name in (LATENTS, TEXTS):
        with (folder / name).open("rb") as content:
            hashes[name] = hashlib.file_digest(content, "sha256").hexdigest()
    return hashes


def read_bundle(directory: str | Path) -> Bundle:
    """Read a bundle and check it.

    Raises:
        DamagedArtefactError: a file is missing, unreadable, or not the one that was described.
        InputError: it is not a bundle, is from a newer release, or its parts do not fit together.
    """
    directory = absolute(str(directory))
    if not (directory / DESCRIPTION).is_file():
        pickles = [*directory.glob("*.pt"), *directory.glob("*.pth"), *directory.glob("*.pkl")]
        hint = f"; {pickles[0].name} is a pickle, {CONVERT}" if pickles else ""
        raise InputError(f"{directory}: no latent bundle here ({DESCRIPTION} is missing){hint}")
    where = str(directory / DESCRIPTION)
    document = BUNDLE_SCHEMA.migrate(read_json(directory / DESCRIPTION), where)
    _check_files(directory, document)
    tensors = _read_tensors(directory / LATENTS)
    try:
        return Bundle(**tensors, **_read_texts(directory / TEXTS), about=document)
    except InputError as error:
        raise InputError(f"{directory}/{error}") from error


def _check_files(directory: Path, document: Mapping[str, Any]) -> None:
    files = document.get("files")
    if not isinstance(files, Mapping) or set(files) != {LATENTS, TEXTS}:
        raise InputError(
            f"{directory / DESCRIPTION}: files must give the sha256 of {LATENTS} and {TEXTS}"
        )
    for name in files:
        if not (directory / name).is_file():
            raise DamagedArtefactError(f"{directory / name}: is missing; fetch the bundle again")
    for name, found in file_hashes(directory).items():
        if files[name] != found:
            raise DamagedArtefactError(
                f"{directory / name}: is not the file that {DESCRIPTION} describes (sha256 "
                f"{found[:12]}, described {str(files[name])[:12]}); fetch the bundle again"
            )


def _read_tensors(file: Path) -> dict[str, Any]:
    import torch

    from workbench.store.tensors import load_tensors

    known = {"z", "mask", "std", "cuts", "latent_mean", "latent_std", "token_embedding"}
    tensors = load_tensors(file)
    if "z" not in tensors:
        raise InputError(f"{file}: has no tensor z, it holds {', '.join(sorted(tensors))}")
    stranger = sorted(set(tensors) - known)
    if stranger:
        raise InputError(f"{file}: no tensor {stranger[0]} in a bundle; known: {sorted(known)}")
    floats = (torch.float16, torch.float32)
    found: dict[str, Any] = {}
    for name, tensor in tensors.items():
        if name in ("mask", "cuts"):
            dtype = torch.bool if name == "mask" else torch.int64
            found[name] = tensor.to(dtype).numpy()
        elif not tensor.is_floating_point():
            raise InputError(f"{file}: {name} must be of floats, it is {tensor.dtype}")
        else:
            found[name] = (tensor if tensor.dtype in floats else tensor.float()).numpy()
    return found


def _read_texts(file: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise DamagedArtefactError(f"{file}: not readable as Parquet ({error})") from error
    names = table.column_names
    if "text" not in names:
        raise InputError(f"{file}: has no column text, it has {', '.join(names)}")
    found: dict[str, Any] = {"texts": table["text"].to_pylist()}
    if None in found["texts"]:
        raise InputError(f"{file}: text is missing in row {found['texts'].index(None)}")
    if "tokens" in names:
        found["tokens"] = table["tokens"].to_pylist()
    if "starts" in names and "ends" in names:
        pairs = zip(table["starts"].to_pylist(), table["ends"].to_pylist(), strict=True)
        found["offsets"] = [np.array(pair, np.int64).reshape(2, -1).T for pair in pairs]
    found["labels"] = {
        name.removeprefix(LABEL): table[name].to_pylist()
        for name in names
        if name.startswith(LABEL)
    }
    return found


def held_out_texts(study: str) -> list[str]:
    """The texts whose latents a study's probes read; takes the study's name or folder."""
    from workbench.study.folders import find_study

    split = find_study(study).corpus.split("test")
    return split.texts(np.arange(len(split)))
