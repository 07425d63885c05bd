"""Check a finding: recompute its numbers from the study as it is now, and list what drifted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from workbench.errors import DamagedArtefactError, InputError, WorkbenchError
from workbench.report.findings.finding import FOLDER, Finding, Number, Selected, read_finding
from workbench.report.findings.ground import Ground, Measured
from workbench.report.findings.keep import run_prints, texts_hash
from workbench.report.findings.sources import SOURCES
from workbench.store.manifest import find_problems
from workbench.study.folders import Run, Study, open_study

Verdict = Literal["same", "drifted", "not defined any more"]
SMALLEST = 1e-3  # below this size, the tolerance is absolute
WORDS = {
    "configuration": "its settings changed",
    "vae": "its autoencoder was retrained",
    "flow": "its generator was retrained",
    "latents": "its latents were recomputed",
    "samples": "its texts were generated again",
    "scores": "its scores were recomputed",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """One number then and now.

    Attributes:
        number: its name.
        kept: the number when the finding was made.
        now: the number now.
        difference: now - kept; None if one of them is not defined.
        verdict: see `Verdict`.
        how: `recomputed`, `read as stored`, or why there is no number.
    """

    number: str
    kept: float | None
    now: float | None
    difference: float | None
    verdict: Verdict
    how: str


@dataclass(kw_only=True, slots=True)
class FindingCheck:
    """A finding, compared with the study as it is now.

    Attributes:
        path: its file.
        finding: its content.
        drifts: one entry per number.
        changed: inputs of the finding that have changed since, one line each.
        damaged: files that differ from what was written.
    """

    path: Path
    finding: Finding
    drifts: list[Drift] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every number is the same and its inputs are unchanged and undamaged."""
        same = all(drift.verdict == "same" for drift in self.drifts)
        return same and not self.changed and not self.damaged


def check_finding(path: Path, grounds: dict[Path, Ground] | None = None) -> FindingCheck:
    """Recompute a finding's numbers.

    Cost: seconds for scores and places, up to a minute per probe. MAUVE and the probes that are not
    part of every study are read as stored.

    Args:
        path: the finding's file.
        grounds: studies already open, by folder; newly opened ones are added.

        Raises:
            InputError: the file is not a finding, or its study is gone.
            DamagedArtefactError: the file does not match its own sha256.
    """
    finding = read_finding(path)
    directory = study_of_finding(path, finding)
    grounds = {} if grounds is None else grounds
    if directory not in grounds:
        grounds[directory] = Ground(open_study(directory))
    ground = grounds[directory]
    check = FindingCheck(path=path, finding=finding)
    check.changed += _changed(finding, ground.study)
    check.damaged += _damage(finding, ground.study)
    if finding.selection is not None:
        check.changed += _selection_change(finding, finding.selection, ground)
    check.drifts += [_drift(number, ground) for number in finding.numbers]
    return check


def study_of_finding(path: Path, finding: Finding) -> Path:
    """The study that contains a finding, or else the one with its name in the runs directory.

    The name is only compared with the studies found there; it never becomes part of a path.

    Raises:
        InputError: there is no such study.
    """
    from workbench.store.paths import resolve_run

    folder = Path(path).absolute().parent
    if folder.name == FOLDER and (folder.parent / "study.json").is_file():
        return folder.parent
    try:
        directory = resolve_run(finding.study)
    except InputError as error:
        raise InputError(f"{path}: its study is not here: {error}") from error
    if not (directory / "study.json").is_file():
        raise InputError(f"{path}: its study {finding.study!r} is not here any more")
    return directory


def _runs(finding: Finding, study: Study) -> Iterator[tuple[str, Run | None]]:
    known = study.named_runs
    for name in finding.runs:
        yield name, known.get(name)


def _changed(finding: Finding, study: Study) -> list[str]:
    """One line for each run that has changed since the finding was made."""
    lines = []
    for name, run in _runs(finding, study):
        if run is None:
            lines.append(f"{finding.study}/{name}: the study has no such run any more")
            continue
        try:
            now = run_prints(run)
        except WorkbenchError as error:
            lines.append(f"{finding.study}/{name}: cannot be read ({error})")
            continue
        for stage, kept in finding.runs[name].items():
            if now.get(stage) != kept:
                what = WORDS.get(stage, f"its {stage} changed")
                lines.append(
                    f"{finding.study}/{name}: {what} since "
                    f"({stage} {kept} then, {now.get(stage, 'missing')} now)"
                )
    return lines


def _damage(finding: Finding, study: Study) -> list[str]:
    """Files of the finding's runs that do not match their manifests."""
    lines = []
    for _, run in _runs(finding, study):
        for folder in [] if run is None else run.published().values():
            try:
                lines += [str(problem) for problem in find_problems(folder)]
            except WorkbenchError as error:
                lines.append(str(error))
    return lines


def _selection_change(finding: Finding, selection: Selected, ground: Ground) -> list[str]:
    """A line if the texts of the chosen rows have changed."""
    try:
        texts = selected_texts(finding, selection, ground)
    except (WorkbenchError, ValueError, OSError, KeyError, IndexError) as error:
        return [f"{finding.study}: the selection cannot be read any more ({_line(error)})"]
    if texts_hash(texts) != selection.sha256:
        return [f"{finding.study}: the texts of the chosen {selection.level} have changed"]
    return []


def selected_texts(finding: Finding, selection: Selected, ground: Ground) -> list[str]:
    """The texts of the chosen rows as they are now."""
    if selection.level == "prompts":
        known = ground.references.prompts
    else:
        config = ground.study.config
        arm = finding.view.query.get("a", next(iter(config.arms)))
        seed = int(finding.view.query.get("seed", config.seeds[0]))
        known = ground.items([arm], seed, selection.level).hover
    return [known[row] for row in selection.rows]


def _drift(number: Number, ground: Ground) -> Drift:
    source = SOURCES[number.source["kind"]]
    try:
        now = source.measure(ground, number.source)
    except (WorkbenchError, ValueError, OSError, KeyError, RuntimeError) as error:
        return Drift(
            number=number.name, kept=number.value, now=None, difference=None,
            verdict="not defined any more", how=_line(error),
        )  # fmt: skip
    known = number.value is not None and now.value is not None
    return Drift(
        number=number.name,
        kept=number.value,
        now=now.value,
        difference=now.value - number.value if known else None,  # type: ignore[operator]
        verdict=_verdict(number, now, source.tolerance),
        how="recomputed" if now.recomputed else "read as stored",
    )


def _verdict(number: Number, now: Measured, tolerance: float) -> Verdict:
    if number.value is not None and now.value is None:
        return "not defined any more"
    pairs: list[tuple[Any, Any]] = [(number.value, now.value)]
    # Only what the page showed is compared.
    pairs += [
        (kept, getattr(now, name))
        for name in ("low", "high", "n", "chance")
        if (kept := getattr(number, name)) is not None
    ]
    return "same" if all(_close(kept, there, tolerance) for kept, there in pairs) else "drifted"


def _close(kept: float | None, now: float | None, tolerance: float) -> bool:
    if kept is None or now is None:
        return kept is now
    return math.isclose(kept, now, rel_tol=tolerance, abs_tol=tolerance * SMALLEST)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    kind = "damaged: " if isinstance(error, DamagedArtefactError) else ""
    return f"{kind}{text[:200]}"
