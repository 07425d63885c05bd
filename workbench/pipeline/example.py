"""The example: a small finished study in the repository, shown where there is no study yet.

`make_example` packs a finished study without what can be computed again: optimizers, milestones,
trajectories, features, latents and teacher states. Weights are rounded to bfloat16; every number
is the study's own. `open_example` unpacks it beside the runs, where pages may write, and computes
the latents and teacher states of the held-out texts again.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from workbench.config.run import generates_vector, needs_teacher
from workbench.errors import InputError
from workbench.machine.context import StageContext
from workbench.store.atomic import publish, write_file
from workbench.store.checkpoints import MODEL, OPTIMIZER
from workbench.store.durable import make_directory
from workbench.store.faults import reported
from workbench.store.json_files import read_json, write_json
from workbench.store.manifest import MANIFEST, read_manifest
from workbench.store.milestones import MILESTONES
from workbench.store.paths import STUDY, runs_directory
from workbench.store.tensors import load_tensors, save_tensors
from workbench.study.folders import Study, open_study

NAME = "example"
ARCHIVE = Path(__file__).with_name("example.tar.xz")
FOLDER = ".example"  # below the runs directory; hidden, so that it is not listed as a run
MOST_BYTES = 15_000_000
LEFT_OUT = (MILESTONES, "latents", "teacher", "trajectories", "tensorboard", "findings", "bundles")
FILES_LEFT_OUT = (OPTIMIZER, "report.html", "progress.jsonl")
# Of a teacher's states, what does not depend on the training texts' states being there.
OF_TEACHER = ("standardiser.safetensors", "report.json")
_OPENING = threading.Lock()


def make_example(study: Study, file: Path, context: StageContext) -> int:
    """Pack a finished study; the same study gives the same bytes.

    Measures over training are computed first where the study kept milestones and has none.

    Returns:
        The archive's size in bytes.

    Raises:
        InputError: the study is not finished, an arm generates sentence vectors, or the archive
            would be larger than 15 MB.
    """
    if not (study.directory / "comparison.json").is_file():
        raise InputError(f"{study.directory}: not finished; an example shows a whole study")
    for run in study.runs:
        if generates_vector(run.config):
            raise InputError(
                f"{run.name}: an example cannot hold an arm with flow.reg_weight > 0, whose "
                "sentence vectors need the teacher's states of the training texts"
            )
    _probe_courses(study, context)
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / NAME
        for number, source in enumerate(found := list(_kept(study.directory))):
            context.reporter.update("example", number, len(found), {})
            _copy(source, packed / source.relative_to(study.directory))
        for run in study.runs:
            if needs_teacher(run.config):
                states = study.teacher_dir(run.config)
                for name in OF_TEACHER:
                    _copy(states / name, packed / states.relative_to(study.directory) / name)
        record = read_json(packed / STUDY)
        record.pop("forked_from", None)  # a folder of this machine
        write_json(packed / STUDY, record)
        content = _archive(packed)
    context.reporter.update("example", len(found), len(found), {"bytes": len(content)})
    if len(content) > MOST_BYTES:
        raise InputError(f"the example would have {len(content):,} bytes, at most {MOST_BYTES:,}")
    write_file(file, content)
    return len(content)


def _probe_courses(study: Study, context: StageContext) -> None:
    from workbench.probes.course.over_training import is_probed, probe_over_training

    for run in study.runs:
        if not is_probed(run) and any(run.directory.glob(f"*/{MILESTONES}/*")):
            probe_over_training(run, context)


def _kept(directory: Path) -> Iterator[Path]:
    """What is packed, in the order of names: artefacts as folders, and single files."""
    for entry in sorted(directory.iterdir()):
        if entry.name.startswith(".") or entry.name in (*LEFT_OUT, *FILES_LEFT_OUT):
            continue
        if entry.is_file() or (entry / MANIFEST).is_file():
            yield entry
        elif entry.is_dir():
            yield from _kept(entry)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, or publish an artefact anew with what the example keeps of it."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return
    with publish(target, meta=read_manifest(source).meta) as folder:
        for file in sorted(source.rglob("*")):
            inside = folder / file.relative_to(source)
            if file.is_dir():
                inside.mkdir()
            elif file.name == MODEL:
                save_tensors(inside, _rounded(file))
            elif file.name == MANIFEST or file.name in FILES_LEFT_OUT or _is_feature(file):
                continue
            else:
                shutil.copyfile(file, inside)


def _is_feature(file: Path) -> bool:
    """Whether a file holds embeddings of scored texts, which no page reads."""
    return file.suffix == ".npy" and file.parent.name in ("scores", "baselines")


def _rounded(file: Path) -> dict:
    """Weights, floating ones in bfloat16: loaded into a model they are float32 again."""
    import torch

    weights = load_tensors(file)
    return {
        name: value.to(torch.bfloat16) if value.is_floating_point() else value
        for name, value in weights.items()
    }


def _archive(folder: Path) -> bytes:
    """A tar.xz without owners, times or anything else that differs between two makings."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                entry = tarfile.TarInfo(file.relative_to(folder.parent).as_posix())
                entry.size = file.stat().st_size
                with file.open("rb") as stream:
                    tar.addfile(entry, stream)
    return lzma.compress(plain.getvalue(), preset=9)


def open_example(archive: Path | None = None) -> Path | None:
    """Folder of the unpacked example; unpacked where it is not yet, which takes a few seconds.

    Args:
        archive: by default the one in this checkout.

    Returns:
        None where the checkout has no example.

    Raises:
        WorkbenchError: there is no room beside the runs, or the archive is damaged.
    """
    archive = archive or ARCHIVE
    if not archive.is_file():
        return None
    print_ = hashlib.sha256(archive.read_bytes()).hexdigest()[:12]
    directory = runs_directory() / FOLDER / print_ / NAME
    with _OPENING:  # of two sessions that begin at once, one unpacks
        if not (directory / STUDY).is_file():
            make_directory(directory.parent)
            with reported(directory), tempfile.TemporaryDirectory(dir=directory.parent) as folder:
                _unpack(archive, Path(folder))
                try:
                    os.replace(Path(folder) / NAME, directory)
                except OSError:
                    if not (directory / STUDY).is_file():  # else another process was quicker
                        raise
    return directory


def _unpack(archive: Path, folder: Path) -> None:
    from workbench.machine.devices import find_placement
    from workbench.train.latents import store_held_out_latents
    from workbench.train.teacher_states import store_held_out_states

    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    study, place = open_study(folder / NAME), find_placement()
    # Aligned runs know their teacher by its states, so these come first.
    for run in study.runs:
        if needs_teacher(run.config):
            store_held_out_states(study, run.config, StageContext(place))
    for run in study.runs:
        store_held_out_latents(run, place)
