"""What a verb shows: results on stdout, progress on stderr, one JSON object on request."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.report.number_text import baseline_text, interval_text, number_text, onset_sentence

if TYPE_CHECKING:
    from workbench.machine.context import StageContext
    from workbench.machine.doctor import MachineReport
    from workbench.pipeline.verify import VerificationReport
    from workbench.report.findings import FindingCheck
    from workbench.sample.continuations import Continuations

ALREADY_DONE = "already done, nothing was computed"
UNBOUNDED = 1_000_000  # columns of a page without an edge
CLOSING_ROWS = (
    ("reconstruction.token_accuracy", "token accuracy (mu)"),
    ("scale.log_snr", "log SNR (nats)"),
    ("floor.velocity", "velocity floor"),
    ("generation.mauve[", "MAUVE"),
    ("generation.valid_4gram", "valid 4-grams"),
    ("generation.nats_per_token", "nats per token (judge)"),
    ("generation.fidelity", "fidelity to the prompt"),
    ("generation.embedding_f1", "embedding F1"),
    ("generation.rouge1", "ROUGE-1"),
    ("generation.repetition", "repetition"),
    ("knn_coherence.token.other_id", "kNN coherence, other id"),
    ("linear_separability", "linear separability"),
)


class Output:
    """Prints for a person, or as JSON; a context manager so that bars end before results."""

    def __init__(self, common: Any) -> None:
        self._json, self._quiet = common.json, common.quiet
        self._bars: Any = None

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop_bars()

    def _stop_bars(self) -> None:
        if self._bars is not None:
            self._bars.__exit__()
            self._bars = None

    @contextmanager
    def context(self, device: str, restart: bool = False, job: str = "") -> Iterator[StageContext]:
        """The stage context of a verb: device, bars unless quiet, polite stopping.

        A job's folder also receives the progress, and may hold the file that asks to stop.
        """
        from workbench.machine.context import StageContext
        from workbench.machine.devices import find_placement
        from workbench.machine.jobs import PROGRESS, STOP
        from workbench.machine.progress import Bars, Silent, ToFile
        from workbench.machine.stopping import StopSignal

        place = find_placement(device)
        reporter: Any = Silent()
        if not self._quiet and place.is_main:
            self._bars = reporter = Bars().__enter__()
        if job:
            reporter = ToFile(Path(job) / PROGRESS, reporter)
        stop = StopSignal(Path(job) / STOP if job else None).listen()
        try:
            yield StageContext(place, reporter, stop, restart=restart)
        finally:
            self._stop_bars()

    def show(self, values: Mapping[str, Any]) -> None:
        """A few named values."""
        self._stop_bars()
        if self._json:
            self._print_json(values)
            return
        for name, value in values.items():
            if isinstance(value, Mapping | list | tuple):
                continue
            print(f"{name}: {value}")

    def stage(self, result: Mapping[str, Any]) -> None:
        """Where a stage's results lie, and whether there was anything left to do."""
        said = {} if self._json else {"already_done"}
        self.show({name: value for name, value in result.items() if name not in said})
        if result["already_done"] and not self._json:
            print(ALREADY_DONE)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows with equal keys."""
        if self._json:
            self._print_json({name: list(rows)})
            return
        if not rows:
            print(f"no {name}")
            return
        cells = [[str(value) for value in row.values()] for row in rows]
        _print_table(list(rows[0]), cells, numbers=False)

    def comparison(
        self, comparison: Mapping[str, Any], directory: Path, already_done: bool = False
    ) -> None:
        """The closing table of a study, and whether there was anything left to do."""
        self._stop_bars()
        if self._json:
            self._print_json({"study": str(directory), "already_done": already_done, **comparison})
            return
        if already_done:
            print(f"{directory}: {ALREADY_DONE}")
        arms = comparison["arms"]
        first = next(iter(arms))
        verdicts = {
            (row["a"], row["metric"]): row for row in comparison["contrasts"] if row["b"] == first
        }
        rows = []
        for metric, label in _closing_metrics(arms[first]):
            row = [label]
            for arm, values in arms.items():
                cell = interval_text(values.get(metric, {}))
                contrast = verdicts.get((arm, metric))
                mark = {"better": " +", "worse": " -"}.get((contrast or {}).get("verdict", ""), "")
                row.append(cell + mark)
            row.append(baseline_text(comparison.get("baselines", {}), metric))
            rows.append(row)
        _print_table(["", *arms, "human"], rows)
        print(
            f"+ better, - worse than {first}, by an interval that excludes zero and Holm's p <= .05"
        )
        pairing = comparison["paired"]
        print(f"twins share {', '.join(k for k, v in pairing.items() if v) or 'nothing'}")
        print(f"report: {directory / 'report.html'}")

    def contrasts(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Contrasts of two runs."""
        if self._json:
            self._print_json({"contrasts": list(rows)})
            return
        cells = [
            [
                str(row["metric"]),
                number_text(row["difference"]),
                f"[{number_text(row['low'])}, {number_text(row['high'])}]",
                str(row["n"]),
                str(row["verdict"]),
            ]
            for row in rows
        ]
        _print_table(["metric", "difference", "interval", "n", "verdict"], cells)

    def course(self, document: Mapping[str, Any]) -> None:
        """Measures over a run's trainings, and when labels become readable against other arms."""
        self._stop_bars()
        if self._json:
            self._print_json(document)
            return
        for stage in dict.fromkeys(point["stage"] for point in document["points"]):
            points = [point for point in document["points"] if point["stage"] == stage]
            names = dict.fromkeys(name for point in points for name in point["results"])
            cells = [
                [
                    name,
                    *(number_text(point["results"].get(name, {}).get("score")) for point in points),
                ]
                for name in names
            ]
            _print_table([f"{stage}, step", *(str(point["step"]) for point in points)], cells)
            print()
        for row in document["onsets"]:
            print(onset_sentence(row))
        print(f"stored under {document['run']}/over_training")

    def verification(self, report: VerificationReport) -> int:
        """What `verify` found; returns the exit code."""
        from workbench.errors import DamagedArtefactError

        self.show(
            {
                "path": str(report.path),
                "artefacts": report.artefacts,
                "files": report.files,
                "bytes": report.size,
                "documents": report.documents,
                "sound": report.sound,
                "problems": [str(problem) for problem in report.problems],
                "uncovered": [str(path) for path in report.uncovered],
                "leftovers": [str(path) for path in report.leftovers],
                "findings": [_finding_values(check) for check in report.findings],
            }
        )
        if not self._json:
            for check in report.findings:
                _print_finding(check)
            for problem in report.problems:
                print(f"damaged: {problem}", file=sys.stderr)
        return 0 if report.sound else DamagedArtefactError.exit_code

    def examination(self, report: MachineReport) -> int:
        """What `doctor` found; 0, for a lack is no failure of the command."""
        from dataclasses import asdict

        values = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(report).items()
            if name != "lacks"
        }
        self.show({**values, "lacks": list(report.lacks)} if self._json else values)
        if not self._json:
            for name, package in report.packages.items():
                print(f"  {name}: {package or 'missing'}")
            for gpu in report.gpus:
                print(f"  gpu: {gpu.name}")
            for lack in report.lacks:
                print(f"lacks: {lack}")
        return 0

    def samples(self, result: Continuations) -> None:
        """Continuations of a user's prompts, one a line."""
        self._stop_bars()
        if self._json:
            self._print_json(
                {
                    "samples": [
                        {"prompt": prompt, "continuation": text, "ended": bool(ended)}
                        for prompt, text, ended in zip(
                            result.prompts, result.texts, result.ended, strict=True
                        )
                    ],
                    "nfe": result.nfe,
                    "seconds": result.seconds,
                }
            )
            return
        for prompt, text in zip(result.prompts, result.texts, strict=True):
            print(f"{prompt} {text}")

    def _print_json(self, values: Mapping[str, Any]) -> None:
        from analyses.result import json_safe

        json.dump(json_safe(dict(values), reasons={}), sys.stdout, allow_nan=False, default=str)
        print()


def _finding_values(check: FindingCheck) -> dict[str, Any]:
    from dataclasses import asdict

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


def _print_finding(check: FindingCheck) -> None:
    """A finding's numbers then and now; what it stands on and changed goes to stderr."""
    finding, drifts = check.finding, check.drifts
    print(f"\n{finding.sentence}\n{finding.study}, kept {finding.date}: {check.path}")
    if drifts:
        names = ["number", "kept", "now", "difference", "verdict", "how"]
        rows = [
            [d.number, *map(number_text, (d.kept, d.now, d.difference)), d.verdict, d.how]
            for d in drifts
        ]
        _print_table(names, rows)
    same = sum(drift.verdict == "same" for drift in drifts)
    print(f"{same} of {len(drifts)} numbers are the same")
    for word, lines in (("changed", check.changed), ("damaged", check.damaged)):
        for line in lines:
            print(f"{word}: {line}", file=sys.stderr)
    if not check.holds:
        print(f"drifted: {check.path}: the finding does not hold as kept", file=sys.stderr)


def _closing_metrics(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for prefix, label in CLOSING_ROWS:
        for metric in metrics:
            if metric == prefix:
                rows.append((metric, label))
            elif metric.startswith(prefix) and prefix.endswith("["):
                rows.append((metric, f"{label}[{metric.split('[', 1)[1]}"))
            elif metric.startswith(prefix + "."):
                rows.append((metric, f"{label}: {metric[len(prefix) + 1 :]}"))
    return rows


def _print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True
) -> None:
    """Columns after the first stand to the right if they are numbers."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, pad_edge=False, box=None, header_style="bold")
    for number, name in enumerate(header):
        table.add_column(
            Text(name), justify="right" if numbers and number else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if sys.stdout.isatty():
        Console().print(table)
        return
    # A file or a pipe has no window whose width could count: there, every row is one line.
    console = Console(width=UNBOUNDED, height=1)
    Console(width=console.measure(table).maximum, height=1).print(table, soft_wrap=True)
