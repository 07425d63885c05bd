"""Where metrics go besides the run's own JSONL: TensorBoard, W&B or trackio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
        """Write text, indented so that markdown in it is not rendered."""
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
        """Log `<stage>/<name>` together with the stage's own step."""
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
    """Refuse a logger that is not available, before anything is computed.

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


class Contained:
    """A logger whose failures are reported once and never stop a training.

    Args:
        name: of the logger, as in `LOGGERS`.
        note: receives the message.
        settings: further arguments of `open_loggers`; opening may fail too.
    """

    def __init__(self, name: str, note: Callable[[str], None], *settings: Any) -> None:
        self._name, self._note = name, note
        self._logger: Logger | None = None
        with self._contained():
            (self._logger,) = open_loggers((name,), *settings)

    def scalars(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Pass on."""
        with self._contained():
            if self._logger is not None:
                self._logger.scalars(stage, step, values)

    def text(self, stage: str, step: int, name: str, text: str) -> None:
        """Pass on."""
        with self._contained():
            if self._logger is not None:
                self._logger.text(stage, step, name, text)

    def close(self) -> None:
        """Close the logger if it is open."""
        with self._contained():
            if self._logger is not None:
                self._logger.close()

    @contextmanager
    def _contained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a foreign package raises: a full disk, a lost network
            self._logger = None
            reason = " ".join(str(error).split()) or type(error).__name__
            self._note(f"logger {self._name}: {reason}; it is left out from here, training goes on")
