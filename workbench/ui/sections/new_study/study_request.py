"""What a new study is asked to be, checked and turned into settings before anything starts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.store.atomic import write_file
from workbench.store.paths import runs_directory

if TYPE_CHECKING:
    from workbench.config.study import StudyConfig

CORPORA: Mapping[str, str] = {
    "stories": "Short stories from a seeded grammar: every fact in them is known, so fidelity is "
    "measured exactly.",
    "docs": "Docstrings of the packages on this machine: real prose, labelled by package.",
    "upload": "Your own texts: txt, jsonl, csv or parquet.",
    "hf": "A data set from the Hugging Face Hub; needs a network.",
}
UPLOADS = ".uploads"
UPLOAD_KINDS = ("txt", "jsonl", "csv", "parquet")
LARGEST_UPLOAD = 200 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRequest:
    """What the form says.

    Attributes:
        preset: where settings start from.
        name: folder under the runs directory.
        corpus: key of `CORPORA`.
        path: an uploaded file.
        text_column: of a table.
        hf_name: data set.
        arms: names of standard arms.
        num_seeds: 0 .. num_seeds - 1.
        teacher: of the aligned arms.
        overrides: `key=value` lines.
    """

    preset: str
    name: str
    corpus: str
    path: str
    text_column: str
    hf_name: str
    arms: tuple[str, ...]
    num_seeds: int
    teacher: str
    overrides: tuple[str, ...]

    def __post_init__(self) -> None:
        plain = self.name.replace("-", "").replace("_", "").replace(".", "")
        if not plain.isalnum() or not plain.isascii() or self.name.startswith("."):
            raise InputError(f"name {self.name!r}: use letters, digits, . - and _ only")
        if not self.arms:
            raise InputError("choose at least one arm")
        if self.corpus == "upload" and not self.path:
            raise InputError("choose a file to upload, or another corpus")
        if self.corpus == "hf" and not self.hf_name:
            raise InputError("name a data set, or choose another corpus")


def preset_lines() -> dict[str, str]:
    """Preset -> what it costs and reaches."""
    from workbench.pipeline.catalog import describe

    return {row["name"]: row["what"] for row in describe("presets")}


def study_arguments(request: StudyRequest) -> tuple[StudyConfig, list[str]]:
    """The study's settings, and the arguments of the verb `study` that give them.

    Raises:
        InputError: a setting is unknown or out of range.
    """
    from workbench.config.presets import study_config

    overrides = [*_overrides(request), *request.overrides]
    config = study_config(preset=request.preset, overrides=overrides)
    return config, ["--preset", request.preset, "--set", *overrides]


def _overrides(request: StudyRequest) -> list[str]:
    from workbench.config.presets import PRESETS
    from workbench.config.study import REPA_WEIGHT, standard_arms

    preset = PRESETS[request.preset]()
    lines = [f"name={request.name}"]
    if request.corpus == "upload":
        lines += ["base.corpus.name=file", f"base.corpus.path={request.path}"]
        lines += [f"base.corpus.text_column={request.text_column}"] if request.text_column else []
    elif request.corpus == "hf":
        lines += ["base.corpus.name=hf", f"base.corpus.hf_name={request.hf_name}"]
        lines += [f"base.corpus.text_column={request.text_column}"] if request.text_column else []
    elif request.corpus != preset.base.corpus.name:
        lines.append(f"base.corpus.name={request.corpus}")
    if tuple(preset.arms) != request.arms:
        weight = max(arm.get(REPA_WEIGHT, 0.0) for arm in preset.arms.values())
        lines.append("arms=" + _yaml_flow(standard_arms(request.arms, weight)))
    if len(preset.seeds) != request.num_seeds:
        lines.append(f"seeds={list(range(request.num_seeds))}")
    if preset.base.teacher.name != request.teacher:
        lines.append(f"base.teacher.name={request.teacher}")
    return lines


def _yaml_flow(value: Mapping[str, Any]) -> str:
    """A mapping in one line; JSON is YAML."""
    import json

    return json.dumps({key: dict(inner) for key, inner in value.items()})


def store_upload(upload: Any) -> str:
    """Keep an uploaded file under the runs directory, named by its content; returns its path.

    Raises:
        InputError: another kind of file, empty, or over the limit.
    """
    kind = Path(upload.name).suffix.lower().lstrip(".")
    if kind not in UPLOAD_KINDS:
        raise InputError(f"{upload.name}: not one of {', '.join(UPLOAD_KINDS)}")
    if not 0 < upload.size <= LARGEST_UPLOAD:
        raise InputError(f"{upload.name}: {upload.size} bytes; 1 to {LARGEST_UPLOAD} are taken")
    content = upload.getvalue()
    file = runs_directory() / UPLOADS / f"{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, content)
    return str(file)
