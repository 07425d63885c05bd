"""Where a training loop's records go: `metrics.jsonl`, the loggers, the progress bar."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from workbench.machine.context import StageContext
from workbench.store.metrics_log import MetricsLog
from workbench.train.window import StepRecord

SHOWN = ("loss", "token_accuracy", "band_fraction")


def record_steps(
    records: Iterator[StepRecord], stage: str, directory: Path, context: StageContext
) -> None:
    """Run a training to its end and write each record; a failing log never stops it.

    Args:
        records: what `fit` yields.
        stage: key of the records in `<directory>/metrics.jsonl`, a file that stages share.
        directory: the run's folder.
        context: loggers and reporter.
    """
    first = next(records, None)
    if first is None or not context.place.is_main:
        deque(records, maxlen=0)
        return
    # Later records of this stage are from before a resume; they are written again.
    path = directory / "metrics.jsonl"
    with MetricsLog(path, resume_step=first.start_step, stage=stage) as log:
        for record in itertools.chain([first], records):
            _write(record, stage, log, context)


def _write(record: StepRecord, stage: str, log: MetricsLog, context: StageContext) -> None:
    for notice in record.notices:
        context.reporter.note(f"{stage}: {notice}")
    values = {**record.metrics, "tokens_per_second": record.tokens_per_second}
    if not log.append({"stage": stage, "step": record.step, **values}):
        for notice in log.notices:
            context.reporter.note(notice)
    defined = {name: value for name, value in values.items() if math.isfinite(value)}
    for logger in context.loggers:
        logger.scalars(stage, record.step, defined)
    info = {name: values[name] for name in SHOWN if name in values}
    info["tok/s"] = round(record.tokens_per_second)
    context.reporter.update(stage, record.step, record.num_steps, info)
