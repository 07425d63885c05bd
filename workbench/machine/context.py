"""What every stage shares: its context and its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.config import settings
from workbench.machine.progress import Reporter, Silent
from workbench.machine.stopping import StopSignal
from workbench.store.json_files import read_json, write_json

if TYPE_CHECKING:
    from workbench.machine.devices import Placement
    from workbench.machine.loggers import Logger


@dataclass(frozen=True)
class StageContext:
    """Where a stage runs, who watches it, and who may stop it."""

    place: Placement
    reporter: Reporter = field(default_factory=Silent)
    stop: StopSignal = field(default_factory=StopSignal)
    loggers: tuple[Logger, ...] = ()
    restart: bool = False


def stage_fingerprint(*parts: Any) -> str:
    """12 hex digits over everything a stage depends on: settings and earlier fingerprints."""
    plain = [settings.identity(p) if hasattr(p, "__dataclass_fields__") else p for p in parts]
    return settings.fingerprint({"parts": plain})


def update_json(path: Path, values: Mapping[str, Any]) -> None:
    """Merge `values` into a JSON file, replacing it in one step."""
    known = read_json(path) if path.is_file() else {}
    write_json(path, {**known, **values})
