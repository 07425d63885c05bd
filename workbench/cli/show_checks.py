"""What checks found, on stdout: `verify` with its findings, and `doctor`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.output import Output, print_values
from workbench.cli.table import print_table
from workbench.report.number_text import number_text

if TYPE_CHECKING:
    from workbench.machine.doctor import MachineReport
    from workbench.pipeline.verify import VerificationReport
    from workbench.report.findings import FindingCheck


def show_verification(output: Output, report: VerificationReport) -> None:
    """What `verify` found; what is damaged goes to stderr."""
    values = {
        "path": str(report.path),
        "artefacts": report.artefacts,
        "files": report.files,
        "bytes": report.size,
        "documents": report.documents,
        "sound": report.sound,
        "problems": [str(problem) for problem in report.problems],
        "uncovered": [str(path) for path in report.uncovered],
        "leftovers": [str(path) for path in report.leftovers],
        "findings": [finding_values(check) for check in report.findings],
    }

    def for_people() -> None:
        print_values(values)
        for check in report.findings:
            print_finding(check)
        for problem in report.problems:
            print(f"damaged: {problem}", file=sys.stderr)

    output.result(values, for_people)


def show_examination(output: Output, report: MachineReport) -> None:
    """What `doctor` found."""
    values = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(report).items()
    }

    def for_people() -> None:
        print_values(values)
        for name, package in report.packages.items():
            print(f"  {name}: {package or 'missing'}")
        for gpu in report.gpus:
            print(f"  gpu: {gpu.name}")
        for lack in report.lacks:
            print(f"lacks: {lack}")

    output.result(values, for_people)


def finding_values(check: FindingCheck) -> dict[str, Any]:
    """A finding, and what became of it, as JSON shows them."""
    return {
        "file": str(check.path),
        "sentence": check.finding.sentence,
        "study": check.finding.study,
        "date": check.finding.date,
        "holds": check.holds,
        "numbers": [asdict(drift) for drift in check.drifts],
        "changed": check.changed,
        "damaged": check.damaged,
    }


def print_finding(check: FindingCheck) -> None:
    """A finding's numbers then and now; what it stands on and changed goes to stderr."""
    finding, drifts = check.finding, check.drifts
    print(f"\n{finding.sentence}\n{finding.study}, kept {finding.date}: {check.path}")
    if drifts:
        names = ["number", "kept", "now", "difference", "verdict", "how"]
        rows = [
            [d.number, *map(number_text, (d.kept, d.now, d.difference)), d.verdict, d.how]
            for d in drifts
        ]
        print_table(names, rows)
    same = sum(drift.verdict == "same" for drift in drifts)
    print(f"{same} of {len(drifts)} numbers are the same")
    for word, lines in (("changed", check.changed), ("damaged", check.damaged)):
        for line in lines:
            print(f"{word}: {line}", file=sys.stderr)
    if not check.holds:
        print(f"drifted: {check.path}: the finding does not hold as kept", file=sys.stderr)
