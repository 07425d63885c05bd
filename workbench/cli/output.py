"""How a verb shows things: results on stdout, progress on stderr, one JSON object on request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.table import print_table

if TYPE_CHECKING:
    from workbench.machine.context import StageContext

ALREADY_DONE = "already done, nothing was computed"


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

    def result(self, values: Mapping[str, Any], for_people: Callable[[], None]) -> None:
        """Print `values` as one JSON object, or let `for_people` print them."""
        self._stop_bars()
        if not self._json:
            for_people()
            return
        from analyses.result import json_safe

        print(json.dumps(json_safe(dict(values), reasons={}), allow_nan=False, default=str))

    def show(self, values: Mapping[str, Any]) -> None:
        """A few named values."""
        self.result(values, lambda: print_values(values))

    def stage(self, result: Mapping[str, Any]) -> None:
        """Where a stage's results lie, and whether there was anything left to do."""

        def for_people() -> None:
            print_values({name: value for name, value in result.items() if name != "already_done"})
            if result["already_done"]:
                print(ALREADY_DONE)

        self.result(result, for_people)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows with equal keys."""
        self.tables({name: rows})

    def tables(self, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Several tables by name, each of rows with equal keys."""

        def for_people() -> None:
            for place, (name, rows) in enumerate(tables.items()):
                if place:
                    print()
                cells = [[str(value) for value in row.values()] for row in rows]
                if rows:
                    print_table(list(rows[0]), cells, numbers=False)
                else:
                    print(f"no {name}")

        self.result({name: list(rows) for name, rows in tables.items()}, for_people)


def print_values(values: Mapping[str, Any]) -> None:
    """One line per plain value; what is nested is shown in other ways, or as JSON."""
    for name, value in values.items():
        if not isinstance(value, Mapping | list | tuple):
            print(f"{name}: {value}")
