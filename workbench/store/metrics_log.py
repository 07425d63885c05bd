"""Metrics of a run, one JSON object per line; a failed write is reported but never ends a training.

JSON has no NaN: such a value is written as null, and `not_finite` in the same record says what it
was. When a run resumes, records after its step are removed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workbench.errors import DamagedArtefactError
from workbench.store.atomic import write_file
from workbench.store.faults import reported, translated
from workbench.store.seals import parse_strict

NOT_FINITE = "not_finite"


class MetricsLog:
    """Appends records to a JSONL file.

    Attributes:
        path: The file.
        lost: Records that could not be written so far.
        notices: Why records were lost, and what was removed when resuming, one line each.
    """

    def __init__(
        self, path: Path, *, resume_step: int | None = None, stage: str | None = None
    ) -> None:
        """Open for appending.

        Args:
            path: The file; made if missing, with its directory.
            resume_step: Remove records of later steps, and lines that a crash left unreadable.
                None starts an empty log.
            stage: Remove only records of this `stage`; None means all. Stages that share a
                file each resume from their own step.

        Raises:
            InputError: The file cannot be written.
            ResourceError: No room.
        """
        self.path = path
        self.lost = 0
        self.notices: list[str] = []
        kept = b""
        if resume_step is not None:
            kept = self._cut(resume_step, stage)
        write_file(path, kept)
        with reported(path):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
            self._descriptor: int | None = os.open(path, flags)
        self._size = len(kept)

    def append(self, record: Mapping[str, Any]) -> bool:
        """Append one record; it needs an int `step`.

        Returns:
            Whether it was written. If not, `notices` says why, once for each cause.

        Raises:
            ValueError: No step, or a value that is neither JSON nor a number.
        """
        step = record.get("step")
        if not isinstance(step, int) or isinstance(step, bool):
            raise ValueError(f"a metrics record needs an int step, got {step!r}")
        line = render(record)
        if self._descriptor is None:
            raise ValueError(f"{self.path}: the log is closed")
        try:
            self._write(self._descriptor, line)
        except OSError as error:
            self._report(error)
            return False
        return True

    def sync(self) -> None:
        """Make appended records survive a power cut; call it with every checkpoint."""
        if self._descriptor is None:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._report(error, lost=0)

    def close(self) -> None:
        """Sync and close; closing twice is fine."""
        if self._descriptor is None:
            return
        self.sync()
        os.close(self._descriptor)
        self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, descriptor: int, line: bytes) -> None:
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError:
            # Half a line would spoil the next one. What cannot be cut
            # (a device) is left: the cause to report is the failed write.
            with suppress(OSError):
                os.ftruncate(descriptor, self._size)
            raise
        self._size += len(line)

    def _report(self, error: OSError, lost: int = 1) -> None:
        self.lost += lost
        notice = f"metrics are not written, training goes on: {translated(error, self.path)}"
        if notice not in self.notices:
            self.notices.append(notice)

    def _cut(self, resume_step: int, stage: str | None) -> bytes:
        """Lines up to `resume_step` (of `stage`, if given) of the file as it is."""
        if not self.path.is_file():
            return b""
        kept, unreadable = [], 0
        for line in self.path.read_bytes().splitlines(keepends=True):
            record = _parse(line)
            if record is None:
                unreadable += 1
            elif record["step"] <= resume_step or stage not in (None, record.get("stage")):
                kept.append(line)
        if unreadable:
            self.notices.append(f"{self.path}: {unreadable} unreadable lines were dropped")
        return b"".join(kept)


def render(record: Mapping[str, Any]) -> bytes:
    """One line of strict JSON; NaN and infinities become null and are named in `not_finite`.

    Values with `item()`, such as NumPy scalars and one-element tensors, are written as numbers.
    """
    not_finite: dict[str, str] = {}
    plain = {key: _finite(value, key, not_finite) for key, value in record.items()}
    if not_finite:
        plain[NOT_FINITE] = not_finite
    return (json.dumps(plain, allow_nan=False) + "\n").encode()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Records written so far; an incomplete last line is ignored.

    Raises:
        DamagedArtefactError: A complete line is not a record, with its number.
    """
    return list(_records(path))


def _records(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            return
        record = _parse(line)
        if record is None:
            raise DamagedArtefactError(f"{path}:{number}: not a metrics record; resume the run")
        yield record


def _parse(line: bytes) -> dict[str, Any] | None:
    """The record in a complete line; None if it is not one."""
    try:
        record = parse_strict(line)
    except ValueError:
        return None
    complete = line.endswith(b"\n") and isinstance(record, dict)
    return record if complete and type(record.get("step")) is int else None


def _finite(value: Any, where: str, not_finite: dict[str, str]) -> Any:
    if hasattr(value, "item") and not isinstance(value, (dict, list, tuple)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        not_finite[where] = str(value)
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item, f"{where}.{key}", not_finite) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item, f"{where}[{i}]", not_finite) for i, item in enumerate(value)]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(f"{where}: a {type(value).__name__} cannot be written as JSON")
