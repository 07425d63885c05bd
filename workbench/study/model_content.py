"""Which model files produced a teacher's states, a corpus's word pieces, or the texts' scores.

A model is chosen by name. A hash of its files is stored with everything made from it. Older
studies lack the hash and know their teacher and their embedder by name only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.store.manifest import MANIFEST, read_manifest

if TYPE_CHECKING:
    from workbench.config.evaluation import EvaluationConfig
    from workbench.config.run import RunConfig

# Keys in the manifests' meta.
TEACHER_CONTENT = "teacher_content"
PIECES_CONTENT = "pieces_content"
ENCODER_CONTENT = "encoder_content"


def pieces_content(config: RunConfig) -> str | None:
    """Hash of the word pieces that a corpus takes from its teacher; None if there are none here."""
    from models.teachers.content import PIECES, content_hash
    from models.teachers.pretrained import local_directory

    if config.corpus.vocabulary != "teacher":
        return None
    directory = local_directory(config.teacher.name)
    return None if directory is None else content_hash(directory, PIECES)


def encoder_content(config: EvaluationConfig) -> str | None:
    """Hash of the model that embeds texts for scoring; None if its files are not here."""
    from models.teachers.content import content_hash
    from models.teachers.pretrained import local_directory

    directory = local_directory(config.encoder)
    return None if directory is None else content_hash(directory)


def is_exchanged(directory: Path, present: str | None, kind: str = TEACHER_CONTENT) -> bool:
    """Whether an artefact was made from other files than are here now; False if unknown.

    Args:
        directory: the artefact.
        present: hash of the files here.
        kind: which entry of the artefact's manifest to compare.
    """
    stored = stored_content(directory, kind)
    return stored is not None and present is not None and stored != present


def stored_content(directory: Path, kind: str = TEACHER_CONTENT) -> str | None:
    """The model hash stored in an artefact's manifest; None if it holds none."""
    if not (directory / MANIFEST).is_file():
        return None
    content = read_manifest(directory).meta.get(kind)
    return None if content is None else str(content)
