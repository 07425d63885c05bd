"""A child process that dies at its n-th operation on the file system, for every n."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

OPERATIONS = (
    "open",
    "write",
    "pwrite",
    "fsync",
    "fchmod",
    "replace",
    "rename",
    "mkdir",
    "unlink",
    "rmdir",
    "ftruncate",
)
DIED = 99


def die_at(action: Callable[[], object], number: int) -> bool:
    """Run `action` in a fork that dies before its operation `number`, or half way through a write.

    Returns:
        Whether it died; False when it has fewer operations and came to its end.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _arm(number)
            action()
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, DIED), f"the child failed by itself at operation {number}"
    return status == DIED


def deaths(prepare: Callable[[], Callable[[], object]]) -> Iterator[int]:
    """Die at operation 1, 2, 3, ... of what `prepare` hands back, until it completes.

    Yields:
        The number of each operation, after the death at it and, last, after the completion.
    """
    number = 1
    while die_at(prepare(), number):
        yield number
        number += 1
    yield number


def _arm(fatal: int) -> None:
    """Count the operations of this process and let the one numbered `fatal` kill it."""
    import safetensors.torch

    from workbench.store import atomic

    done = 0

    def armed(original: Callable[..., Any], half: Callable[..., None] | None) -> Callable[..., Any]:
        def operation(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            done += 1
            if done == fatal:
                if half:
                    half(*args, **kwargs)
                os._exit(DIED)
            return original(*args, **kwargs)

        return operation

    write, save_file = os.write, safetensors.torch.save_file

    def half_write(descriptor: int, content: bytes) -> None:
        write(descriptor, bytes(content)[: len(content) // 2])

    def half_file(tensors: Any, path: Path) -> None:
        save_file(tensors, path)
        os.truncate(path, path.stat().st_size // 2)

    for name in OPERATIONS:
        setattr(os, name, armed(getattr(os, name), half_write if name == "write" else None))
    safetensors.torch.save_file = armed(save_file, half_file)
    atomic.exchange = armed(atomic.exchange, None)
