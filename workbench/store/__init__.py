"""What runs leave on disk: written whole or not at all, verified before it is believed.

Nothing here imports torch when it is imported, so that `--help` and listings answer at once.
"""

from workbench.store.atomic import publish, remove_directory, write_file
from workbench.store.checkpoints import (
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    load_latest,
    prune,
    save_checkpoint,
)
from workbench.store.faults import check_room
from workbench.store.manifest import Manifest, is_complete, read_manifest, verify
from workbench.store.schema import Schema

__all__ = [
    "Checkpoint",
    "Manifest",
    "Schema",
    "check_room",
    "is_complete",
    "list_checkpoints",
    "load_checkpoint",
    "load_latest",
    "prune",
    "publish",
    "read_manifest",
    "remove_directory",
    "save_checkpoint",
    "verify",
    "write_file",
]
