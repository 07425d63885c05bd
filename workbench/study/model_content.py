"""Which files a teacher's states, a corpus's word pieces, or a text's scores were made with.

A model is chosen by name; the content of its files is stored beside what is made with it. Studies
from before that was stored know their teacher, or the embedder of their scores, by name alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.store.manifest import MANIFEST, read_manifest

if TYPE_CHECKING:
    from workbench.config.study import EvaluationConfig, RunConfig

# In the manifests' meta.
TEACHER, PIECES, ENCODER = "teacher_content", "pieces_content", "encoder_content"


def pieces_content(config: RunConfig) -> str | None:
    """Hash of the pieces that a corpus takes from its teacher; None for none, or none at hand."""
    from models.teachers.content import PIECES, content_hash
    from models.teachers.pretrained import local_directory

    if config.corpus.vocabulary != "teacher":
        return None
    directory = local_directory(config.teacher.name)
    return None if directory is None else content_hash(directory, PIECES)


def encoder_content(config: EvaluationConfig) -> str | None:
    """Hash of what embeds texts for their scores; None where its files are not at hand."""
    from models.teachers.content import content_hash
    from models.teachers.pretrained import local_directory

    directory = local_directory(config.encoder)
    return None if directory is None else content_hash(directory)


def is_exchanged(directory: Path, present: str | None, kind: str = TEACHER) -> bool:
    """Whether an artefact was made from other files than those at hand, as far as both are known.

    Args:
        directory: the artefact.
        present: hash of the files at hand.
        kind: which content the artefact's manifest is asked for.
    """
    stored = stored_content(directory, kind)
    return stored is not None and present is not None and stored != present


def stored_content(directory: Path, kind: str = TEACHER) -> str | None:
    """What an artefact's manifest says that it was made from; None when it says nothing."""
    if not (directory / MANIFEST).is_file():
        return None
    content = read_manifest(directory).meta.get(kind)
    return None if content is None else str(content)
