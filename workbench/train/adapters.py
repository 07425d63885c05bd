"""Models from outside, through a little Python code of the user's: an adapter.

An adapter is a file that defines `load(model)`, or a class or function of an installed package that
takes `model`, written as MODULE:NAME. It returns an object with `encode(texts)` and, if it can,
`decode(z, mask)`, `logits(z, mask)` and `velocity(z_t, t, prompts)`: see `docs/BUNDLES.md`. It is
ordinary Python with all rights of the user, so it runs only when it is named on the command line,
never because a study, a bundle or a model asks for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import runpy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.config.adapters import OF_A_PACKAGE
from workbench.config.places import absolute
from workbench.errors import InputError
from workbench.study.bundle import Bundle, file_hashes, read_bundle

if TYPE_CHECKING:
    from workbench.study.folders import Run

BATCH = 64
RETURNS = "(z, mask, offsets) or (z, mask, offsets, std)"
SHA256, MODEL, CONTENT = "adapter_sha256", "model", "model_sha256"


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapter:
    """A model from outside; whatever it returns is checked.

    Attributes:
        source: the Python file, or MODULE:NAME.
        model: what its `load` was given.
        loaded: what `load` returned.
    """

    source: str
    model: str
    loaded: Any

    def can(self, name: str) -> bool:
        """Whether it has a function: `decode`, `logits` or `velocity`."""
        return callable(getattr(self.loaded, name, None))

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(L, D) of the latents that `velocity` moves.

        Raises:
            InputError: the adapter does not give it.
        """
        shape = getattr(self.loaded, "latent_shape", None)
        sizes = shape if isinstance(shape, tuple | list) else ()
        if len(sizes) != 2 or not all(isinstance(n, int) and n > 0 for n in sizes):
            raise InputError(f"{self._name}: velocity() needs latent_shape = (L, D), it is {shape}")
        return sizes[0], sizes[1]

    def encode(self, texts: Sequence[str]) -> Any:
        """What `encode` returns for texts."""
        return self._call("encode", list(texts))

    def decode(self, z: np.ndarray, mask: np.ndarray) -> list[str]:
        """Texts of latents (B, L, D) whose real tokens are where mask (B, L) is True."""
        texts: list[str] = []
        for rows in _batches(len(z)):
            found = self._call("decode", z[rows], mask[rows])
            if not isinstance(found, list | tuple) or not all(isinstance(t, str) for t in found):
                raise InputError(f"{self._name}: decode() must return a list of texts")
            texts += found
        if len(texts) != len(z):
            raise InputError(f"{self._name}: decode() of {len(z)} latents gave {len(texts)} texts")
        return texts

    def logits(self, z: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(B, L, V) float32 over the model's own vocabulary."""
        parts = [
            np.asarray(self._call("logits", z[rows], mask[rows]), np.float32)
            for rows in _batches(len(z))
        ]
        for part, rows in zip(parts, _batches(len(z)), strict=True):
            if part.ndim != 3 or part.shape[:2] != z[rows].shape[:2]:
                raise InputError(
                    f"{self._name}: logits() of latents {z[rows].shape} returned {part.shape}; "
                    "they must be (B, L, V)"
                )
        return np.concatenate(parts)

    def velocity(self, z_t: np.ndarray, t: float, prompts: list[str] | None) -> np.ndarray:
        """(B, L, D) float32, d z_t / d t given prompts, or given none."""
        found = np.asarray(self._call("velocity", z_t, t, prompts), np.float32)
        if found.shape != z_t.shape or not np.isfinite(found).all():
            what = f"returned {found.shape}" if found.shape != z_t.shape else "is not finite"
            raise InputError(f"{self._name}: velocity() of z_t {z_t.shape} at t = {t:.3g} {what}")
        return found

    def _call(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self.loaded, name)(*arguments)
        except Exception as error:  # a stranger's code raises what it likes
            raise InputError(f"{self._name}: {name}() failed: {_told(error)}") from error

    @property
    def _name(self) -> str:
        return f"--adapter {self.source}"

    @property
    def identity(self) -> dict[str, str]:
        """Names and hashes of the file and the model, kept with what comes from them."""
        return {
            "adapter": Path(self.source).name,
            SHA256: code_hash(self.source),
            MODEL: self.model,
            CONTENT: model_content(self.model),
        }


def source_of(word: str) -> str:
    """What a user named, in its one spelling: MODULE:NAME as it is, a file by its whole path."""
    return word if OF_A_PACKAGE.fullmatch(word) else str(absolute(word))


def code_hash(source: str) -> str:
    """Hash of an adapter's file, or of all Python files of its package; nothing of it runs.

    Raises:
        InputError: there is no such file or package.
    """
    if not OF_A_PACKAGE.fullmatch(source):
        if not Path(source).is_file():
            raise InputError(f"--adapter {source}: no such file")
        return _sha256(Path(source))
    package = source.partition(":")[0].partition(".")[0]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"--adapter {source}: no package {package} is installed")
    if not spec.submodule_search_locations:
        return _sha256(Path(spec.origin))
    folder, whole = Path(spec.origin).parent, hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        whole.update(f"{file.relative_to(folder).as_posix()} {_sha256(file)}\n".encode())
    return whole.hexdigest()


def _loader(source: str) -> Any:
    """Run an adapter's file, or import its module, and take what loads a model."""
    if not OF_A_PACKAGE.fullmatch(source):
        return runpy.run_path(source).get("load")
    module, _, name = source.partition(":")
    return getattr(importlib.import_module(module), name, None)


def load_adapter(source: str, model: str) -> Adapter:
    """Run an adapter's code and let it load its model.

    Raises:
        InputError: there is no such code, it or its loading fails, or that returns no `encode`.
    """
    code_hash(source)
    model = str(absolute(model)) if absolute(model).exists() else model
    try:
        load = _loader(source)
        if not callable(load):
            wanted = source.partition(":")[2] if OF_A_PACKAGE.fullmatch(source) else "load"
            raise InputError(f"--adapter {source}: defines no function {wanted}(model)")
        loaded = load(model)
    except InputError:
        raise
    except Exception as error:  # a stranger's code raises what it likes
        raise InputError(f"--adapter {source}: load() failed: {_told(error)}") from error
    if not callable(getattr(loaded, "encode", None)):
        raise InputError(f"--adapter {source}: load() returned no object with encode(texts)")
    return Adapter(source=source, model=model, loaded=loaded)


def open_adapter(source: str, run: Run) -> Adapter:
    """Load the adapter that encoded an arm, if its code and the model are still the same.

    Raises:
        InputError: the arm came from no adapter, or its code or model is another one.
    """
    known = (run.imported or {}).get("provenance", {})
    if CONTENT not in known:
        raise InputError(f"--adapter {source}: {run.name} was not made by `encode`")
    found = code_hash(source)
    if found != known[SHA256]:
        raise InputError(
            f"--adapter {source}: is not the code that encoded {run.name} (sha256 "
            f"{found[:12]}, then {known[SHA256][:12]}); run `encode` again"
        )
    if model_content(known[MODEL]) != known[CONTENT]:
        raise InputError(
            f"--adapter {source}: the model {known[MODEL]} changed since it encoded {run.name}; "
            "run `encode` again"
        )
    return load_adapter(source, known[MODEL])


def named_adapter(sources: Sequence[str], run: Run) -> Adapter | None:
    """Of the adapters that the user named, the one that encoded an arm; None if it is not there.

    Raises:
        InputError: see `open_adapter`.
    """
    wanted = (run.imported or {}).get("provenance", {}).get(SHA256)
    known = {}
    for source in sources if wanted else ():
        with contextlib.suppress(InputError):  # code that is gone by now is not this arm's
            known[code_hash(source)] = source
    return open_adapter(known[wanted], run) if wanted in known else None


def own_latents(run: Run) -> Bundle:
    """The latents of an arm as its adapter gave them, on its own tokens.

    Raises:
        InputError: the arm's bundle is not the one that was imported.
    """
    bundle, folder = read_bundle(run.bundle_dir), run.bundle_dir
    if run.imported is None or file_hashes(folder) != run.imported["files"]:
        raise InputError(f"{folder}: is not what {run.name} came from; run `encode` again")
    return bundle


def model_content(model: str) -> str:
    """Hash of a model's file, or of the files in its folder; empty for what is neither."""
    from models.teachers.content import content_hash

    path = Path(model)
    return content_hash(path) if path.is_dir() else _sha256(path) if path.is_file() else ""


def encode_texts(adapter: Adapter, texts: Sequence[str]) -> Bundle:
    """A bundle of texts from an adapter, with the share of them that it reads back.

    Raises:
        InputError: what `encode` returned does not fit its texts.
    """
    parts = [_encoded(adapter, texts[rows]) for rows in _batches(len(texts))]
    longest = max(part[1].shape[1] for part in parts)
    z, mask = (np.concatenate([_padded(part[k], longest) for part in parts]) for k in (0, 1))
    std = None
    if parts[0][3] is not None:
        std = np.concatenate([_padded(part[3], longest) for part in parts])
    provenance: dict[str, Any] = adapter.identity
    if adapter.can("decode"):
        decoded = adapter.decode(z, mask)
        same = sum(a.strip() == b.strip() for a, b in zip(decoded, texts, strict=True))
        provenance |= {"texts_read_back": same, "texts": len(texts)}
    return Bundle(
        texts=list(texts),
        z=z,
        mask=mask,
        std=std,
        offsets=[offsets for part in parts for offsets in part[2]],
        about={"provenance": provenance},
    )


def _encoded(adapter: Adapter, texts: Sequence[str]) -> tuple[Any, Any, Any, Any]:
    found, name = adapter.encode(texts), f"--adapter {adapter.source}"
    if not isinstance(found, tuple) or len(found) not in (3, 4):
        raise InputError(f"{name}: encode() must return {RETURNS}")
    z, mask, offsets, std = (*found, None)[:4]
    z, mask = np.asarray(z, np.float32), np.asarray(mask, bool)
    if z.ndim != 3 or z.shape[:2] != mask.shape or len(z) != len(texts) != 0:
        raise InputError(
            f"{name}: encode() of {len(texts)} texts returned z {z.shape} and mask "
            f"{mask.shape}; they must be (N, L, D) and (N, L)"
        )
    spans = [np.asarray(rows, np.int64).reshape(-1, 2) for rows in offsets]
    return z, mask, spans, None if std is None else np.asarray(std, np.float32)


def _batches(count: int) -> list[slice]:
    return [slice(i, i + BATCH) for i in range(0, count, BATCH)]


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    """Zeros, or False, appended along the second axis."""
    space = [(0, 0)] * values.ndim
    space[1] = (0, length - values.shape[1])
    return np.pad(values, space)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
