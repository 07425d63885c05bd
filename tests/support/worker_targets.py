"""What the workers of `test_workers.py` do; a spawned process must be able to import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from workbench.errors import NumericalError
from workbench.machine.context import StageContext
from workbench.store.lock import run_lock


def fail_or_wait(fails: bool, context: StageContext) -> None:
    """One worker breaks; the other goes on until it is told to stop, and then says that."""
    if fails:
        raise NumericalError("the loss is not a number")
    while not context.stop.requested:
        time.sleep(0.01)
    context.stop.check("the other")


def tell(number: int, context: StageContext) -> None:
    """Report a great deal, and what this worker was told."""
    for done in range(3000):
        context.reporter.update("counting", done, 3000, {"number": number})
    context.reporter.note(f"{context.place.device} {context.restart}")


def vanish(context: StageContext) -> None:
    """End without a word."""
    os._exit(9)


def interrupted(context: StageContext) -> None:
    """Meet Ctrl-C, which reaches every process of a terminal, and say whether that was a stop."""
    os.kill(os.getpid(), signal.SIGINT)
    context.reporter.note(f"stop {context.stop.requested}")
    os.kill(os.getpid(), signal.SIGTERM)
    context.reporter.note(f"stop {context.stop.requested}")


def stay(directory: str, context: StageContext) -> None:
    """Hold a run and never end."""
    with run_lock(Path(directory)):
        time.sleep(600)


def tell_threads(context: StageContext) -> None:
    """Report the threads of torch and of every pool of the libraries that scores use."""
    import faiss  # noqa: F401
    import sklearn.cluster  # noqa: F401
    import torch
    from threadpoolctl import threadpool_info

    context.reporter.note(f"torch {torch.get_num_threads()}")
    for pool in threadpool_info():
        context.reporter.note(f"{pool['user_api']} {pool['num_threads']}")
