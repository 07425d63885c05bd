"""Batches that are halved automatically when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from workbench.errors import OUT_OF_MEMORY, ResourceError

Result = TypeVar("Result")


def halving_batches(
    total: int, batch_size: int, work: Callable[[slice], Result]
) -> Iterator[tuple[slice, Result]]:
    """Yield (rows, work(rows)) over `total` rows; when memory runs out, halve the batch and retry.

    Raises:
        ResourceError: a single row does not fit.
    """
    start = 0
    while start < total:
        rows = slice(start, min(start + batch_size, total))
        try:
            result = work(rows)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if batch_size == 1:
                raise ResourceError(
                    "out of memory with a single text; use a smaller model or window, or device=cpu"
                ) from error
            batch_size = max(1, (rows.stop - rows.start) // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        yield rows, result
        start = rows.stop


@contextmanager
def memory_advice(advice: str) -> Iterator[None]:
    """When memory runs out in the body, raise an error that says which setting to lower.

    Raises:
        ResourceError: host or device memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ResourceError(f"out of memory: {advice}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that host or device memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return OUT_OF_MEMORY.search(str(error)) is not None
