"""Where a training loop's records go: `metrics.jsonl`, the loggers, the progress bar."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from workbench.machine.context import StageContext
from workbench.store.metrics_log import MetricsLog
from workbench.train.window import StepRecord

SHOWN = ("loss", "token_accuracy", "band_fraction")


def record_steps(
    records: Iterable[StepRecord],
    stage: str,
    directory: Path,
    context: StageContext,
    resume_step: int = 0,
) -> Iterator[StepRecord]:
    """Write each record and pass it on; a failing log is reported but never stops training.

    Args:
        records: what `fit` yields.
        stage: key of the records in `<directory>/metrics.jsonl`, a file that stages share.
        directory: the run's folder.
        context: loggers and reporter.
        resume_step: later records of this stage are dropped, because they will be written again.
    """
    if not context.place.is_main:
        yield from records
        return
    with MetricsLog(directory / "metrics.jsonl", resume_step=resume_step, stage=stage) as log:
        for record in records:
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
            yield record
