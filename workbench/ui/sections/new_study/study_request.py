"""What a new study is asked to be, checked and turned into settings before anything starts."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
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
    "glosses": "Definitions of WordNet's words in 45 classes; needs Debian's package wordnet-base.",
    "upload": "Your own texts: txt, jsonl, csv, tsv or parquet.",
    "hf": "A data set from the Hugging Face Hub; needs a network.",
}
UPLOADS = ".uploads"
UPLOAD_KINDS = ("txt", "jsonl", "csv", "tsv", "parquet")
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
        arms: names of the preset's arms and of standard ones.
        num_seeds: 0 .. num_seeds - 1.
        teacher: of the aligned arms.
        overrides: `key=value` lines.
        executor: `slurm` to hand it to that; empty for this machine.
        resources: `key=value` words of what each of its tasks asks for.
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
    executor: str = ""
    resources: tuple[str, ...] = ()

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


def preset_arms(preset: str) -> list[str]:
    """Names of the arms that a preset trains."""
    from workbench.config.presets import PRESETS

    return list(PRESETS[preset]().arms)


def override_lines(typed: str) -> tuple[str, ...]:
    r"""Lines of the form's box that hold something; parted at \n alone, ends as they are typed."""
    lines = (line.removesuffix("\r").lstrip() for line in typed.split("\n"))
    return tuple(line for line in lines if line)


def study_arguments(request: StudyRequest) -> tuple[StudyConfig, list[str]]:
    """The study's settings, and the arguments of the verb `study` that give them.

    Raises:
        InputError: a setting is unknown or out of range.
    """
    from workbench.config.request import study_config
    from workbench.config.settings import as_override

    chosen = [as_override(key, value) for key, value in _chosen(request).items()]
    overrides = [*chosen, *request.overrides]
    config = study_config(preset=request.preset, overrides=overrides)
    arguments = ["--preset", request.preset, "--set", *overrides]
    if request.executor:
        arguments += ["--executor", request.executor]
        arguments += ["--resources", *request.resources] if request.resources else []
    return config, arguments


def terminal_command(arguments: Sequence[str]) -> str:
    """The same study from a shell, each value as one word of it."""
    return shlex.join(["python", "-m", "workbench", "study", *arguments])


def _chosen(request: StudyRequest) -> dict[str, Any]:
    """Dotted key -> value of what the form sets apart from its preset."""
    from workbench.config.arms import REPA_WEIGHT, standard_arms
    from workbench.config.presets import PRESETS

    preset = PRESETS[request.preset]()
    chosen: dict[str, Any] = {"name": request.name, **_corpus(request, preset.base.corpus.name)}
    if tuple(preset.arms) != request.arms:
        others = [arm for arm in request.arms if arm not in preset.arms]
        weight = preset.arms["repa"][REPA_WEIGHT]
        known = {**preset.arms, **standard_arms(others, weight)}
        chosen["arms"] = {arm: known[arm] for arm in request.arms}
    if len(preset.seeds) != request.num_seeds:
        chosen["seeds"] = list(range(request.num_seeds))
    if preset.base.teacher.name != request.teacher:
        chosen["base.teacher.name"] = request.teacher
    return chosen


def _corpus(request: StudyRequest, preset: str) -> dict[str, Any]:
    """Settings of the corpus, where it is not the preset's."""
    own = {"upload": ("file", "path", request.path), "hf": ("hf", "hf_name", request.hf_name)}
    if request.corpus not in own:
        return {} if request.corpus == preset else {"base.corpus.name": request.corpus}
    name, key, value = own[request.corpus]
    column = {"base.corpus.text_column": request.text_column} if request.text_column else {}
    return {"base.corpus.name": name, f"base.corpus.{key}": value, **column}


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
