"""Metric sinks: the run's own JSONL always, TensorBoard, W&B or trackio by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol


class Logger(Protocol):
    """Receives scalars and samples of a stage."""

    def scalars(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Numbers at a step."""

    def text(self, stage: str, step: int, name: str, text: str) -> None:
        """A piece of text at a step, such as a sample."""

    def close(self) -> None:
        """Flush and end."""


class TensorBoardLogger:
    """Event files under `<run>/tensorboard`."""

    def __init__(self, directory: Path, project: str, config: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(directory / "tensorboard"))

    def scalars(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Write each number as `<stage>/<name>`."""
        for name, value in values.items():
            self._writer.add_scalar(f"{stage}/{name}", value, step)

    def text(self, stage: str, step: int, name: str, text: str) -> None:
        """Write text; indented, so that markdown in a corpus is shown as it is."""
        lines = "\n".join("    " + line for line in text.splitlines())
        self._writer.add_text(f"{stage}/{name}", lines, step)

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()


class _RunLogger:
    """What W&B and trackio share: `init`, `log`, `finish`."""

    def __init__(
        self, module: Any, directory: Path, project: str, config: Mapping[str, Any]
    ) -> None:
        self._module = module
        self._run = module.init(
            project=project, name="/".join(directory.parts[-2:]), config=dict(config)
        )

    def scalars(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Log `<stage>/<name>`, with the stage's own step beside it."""
        self._module.log({f"{stage}/step": step, **{f"{stage}/{k}": v for k, v in values.items()}})

    def text(self, stage: str, step: int, name: str, text: str) -> None:
        """Log the text as a value."""
        self._module.log({f"{stage}/step": step, f"{stage}/{name}": text})

    def close(self) -> None:
        """End the run."""
        self._module.finish()


def _external(name: str) -> Callable[[Path, str, Mapping[str, Any]], Logger]:
    def build(directory: Path, project: str, config: Mapping[str, Any]) -> Logger:
        return _RunLogger(import_module(name), directory, project, config)

    return build


LOGGERS: Mapping[str, Callable[[Path, str, Mapping[str, Any]], Logger]] = {
    "tensorboard": TensorBoardLogger,
    "wandb": _external("wandb"),
    "trackio": _external("trackio"),
}


def check_loggers(names: tuple[str, ...]) -> None:
    """Refuse, before any compute, a logger that cannot be had.

    Raises:
        ValueError: a name is unknown, or its package is not installed.
    """
    for name in names:
        if name not in LOGGERS:
            raise ValueError(f"no logger {name!r}; choose from {', '.join(LOGGERS)}")
        if find_spec(name) is None:
            raise ValueError(f"logger {name!r} is not installed: pip install {name}")


def open_loggers(
    names: tuple[str, ...], directory: Path, project: str, config: Mapping[str, Any]
) -> list[Logger]:
    """The loggers by name.

    Raises:
        ValueError: a name is unknown, or its package is not installed.
    """
    check_loggers(names)
    return [LOGGERS[name](directory, project, config) for name in names]
