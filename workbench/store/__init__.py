"""Durable files: written completely or not at all, and verified before they are used.

Importing this room does not import torch, so `--help` and listings answer at once.
"""

from workbench.store.atomic import publish, remove_directory, write_file
from workbench.store.checkpoints import (
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    load_latest,
    prune,
)
from workbench.store.faults import check_room
from workbench.store.json_files import read_json, write_json
from workbench.store.lock import Holder, read_holder, run_lock
from workbench.store.manifest import Manifest, is_complete, read_manifest, verify
from workbench.store.metrics_log import MetricsLog, read_metrics
from workbench.store.new_checkpoint import save_checkpoint
from workbench.store.paths import (
    RunEntry,
    check_writable,
    list_runs,
    resolve_run,
    runs_directory,
)
from workbench.store.schema import Schema

__all__ = [
    "Checkpoint",
    "Holder",
    "Manifest",
    "MetricsLog",
    "RunEntry",
    "Schema",
    "check_room",
    "check_writable",
    "is_complete",
    "list_checkpoints",
    "list_runs",
    "load_checkpoint",
    "load_latest",
    "prune",
    "publish",
    "read_holder",
    "read_json",
    "read_manifest",
    "read_metrics",
    "remove_directory",
    "resolve_run",
    "run_lock",
    "runs_directory",
    "save_checkpoint",
    "verify",
    "write_file",
    "write_json",
]
