"""Check that everything in a study, run or artefact directory is what was written.

Directories with a manifest are read completely and compared with it. JSON documents and logs beside
them must parse strictly and match their seal, if they have one. Findings are recomputed from the
study as it is now. Nothing is changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InputError, WorkbenchError
from workbench.store.atomic import is_temporary
from workbench.store.checkpoints import is_checkpoint_name, is_set_aside
from workbench.store.json_files import read_json
from workbench.store.manifest import MANIFEST, Problem, find_problems, read_manifest
from workbench.store.metrics_log import read_metrics
from workbench.store.paths import STUDY

if TYPE_CHECKING:
    from workbench.report.findings import FindingCheck

METRICS = "metrics.jsonl"


@dataclass(kw_only=True, slots=True)
class VerificationReport:
    """What was checked and what was found.

    Attributes:
        path: Where the check began.
        artefacts: Directories with a manifest.
        files: Files whose sha256 was compared.
        size: Their bytes.
        documents: JSON documents and logs that were parsed.
        uncovered: Files without a checksum or a strict format.
        leftovers: Temporary files of writers that died, and checkpoints set aside as damaged.
        problems: Files that differ from what was written.
        findings: Findings below the path, with every number recomputed.
    """

    path: Path
    artefacts: int = 0
    files: int = 0
    size: int = 0
    documents: int = 0
    uncovered: list[Path] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    findings: list[FindingCheck] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged and every finding holds."""
        return not self.problems and all(check.holds for check in self.findings)


def verify_path(path: Path) -> VerificationReport:
    """Verify a file, or everything below a directory, by reading all artefacts once.

    A file inside an artefact is verified with the whole artefact. A finding is recomputed, which
    takes seconds to minutes.

    Raises:
        InputError: The path does not exist, holds nothing that can be verified, or is a finding
            that is invalid or whose study is gone.
        DamagedArtefactError: A finding does not match its own sha256.
    """
    from workbench.report.findings import check_finding, is_finding

    path = Path(os.path.abspath(path))
    if not path.exists():
        raise InputError(f"{path}: no such file or directory")
    report = VerificationReport(path=path)
    enclosing = next((p for p in (path, *path.parents) if (p / MANIFEST).is_file()), None)
    if enclosing:
        _check_artefact(enclosing, report)
    elif is_finding(path):
        report.documents += 1
        report.findings.append(check_finding(path))
    elif path.is_file():
        _check_file(path, report)
    else:
        studies = []
        for directory in _walk(path, report):
            _check_directory(directory, report)
            studies += [directory] if (directory / STUDY).is_file() else []
        _check_findings(studies, report)
    if not (report.artefacts or report.documents or report.problems):
        raise InputError(f"{path}: nothing to verify (no manifest and no document)")
    return report


def _walk(path: Path, report: VerificationReport) -> Iterator[Path]:
    """Directories to check, outermost first, without those inside artefacts."""
    for root, directories, _ in os.walk(path):
        directory = Path(root)
        yield directory
        if (directory / MANIFEST).is_file():
            directories.clear()
        left = [name for name in directories if is_temporary(name) or is_set_aside(name)]
        report.leftovers += [directory / name for name in sorted(left)]
        directories[:] = sorted(set(directories) - set(left))


def _check_directory(directory: Path, report: VerificationReport) -> None:
    if (directory / MANIFEST).is_file() or is_checkpoint_name(directory.name):
        _check_artefact(directory, report)
        return
    for entry in sorted(directory.iterdir()):
        if is_temporary(entry.name):
            report.leftovers += [] if entry.is_dir() else [entry]
        elif entry.is_symlink() or not entry.is_dir():
            _check_file(entry, report)


def _check_findings(studies: list[Path], report: VerificationReport) -> None:
    """Recompute the findings of some studies; one that cannot be read is a problem."""
    from workbench.report.findings import check_finding, finding_files

    bad = {problem.file for problem in report.problems}
    for study in studies:
        grounds: dict = {}
        for file in finding_files(study):
            if file in bad:
                continue
            try:
                report.findings.append(check_finding(file, grounds))
            except WorkbenchError as error:
                report.problems.append(_problem(file, error))


def _check_artefact(directory: Path, report: VerificationReport) -> None:
    report.artefacts += 1
    try:
        manifest = read_manifest(directory)
        report.problems += find_problems(directory)
    except WorkbenchError as error:
        report.problems.append(_problem(directory / MANIFEST, error))
        return
    report.files += len(manifest.files)
    report.size += manifest.size


def _check_file(path: Path, report: VerificationReport) -> None:
    reader = _reader(path)
    if reader is None or not path.is_file():
        if not path.name.startswith("."):
            report.uncovered.append(path)
        return
    report.documents += 1
    try:
        reader(path)
    except WorkbenchError as error:
        report.problems.append(_problem(path, error))


def _reader(path: Path) -> Callable[[Path], object] | None:
    """The strict parser for a file; None for files without content to check, such as progress."""
    if path.name == METRICS:
        return read_metrics
    return read_json if path.suffix == ".json" else None


def _problem(path: Path, error: WorkbenchError) -> Problem:
    """An error as a problem of `path`, without repeating the path."""
    return Problem(file=path, problem=str(error).removeprefix(str(path)).lstrip(": "))
