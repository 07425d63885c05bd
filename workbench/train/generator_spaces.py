"""A generator's own continuous spaces as latent bundles, for the probes that arms get."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.errors import InputError
from workbench.study.bundle import Bundle, write_bundle
from workbench.train.bundle_arms import named_labels
from workbench.train.generators import load_trained

if TYPE_CHECKING:
    from workbench.machine.devices import Placement
    from workbench.study.generators import GeneratorRun

BATCH = 64


def export_generator(run: GeneratorRun, space: str, directory: Path, place: Placement) -> Path:
    """Write what a trained generator makes of every held-out token, in one of its spaces.

    Args:
        run: the generator.
        space: a key of what its network's `spaces` returns.
        directory: the bundle's folder.
        place: device.

    Raises:
        InputError: it is not trained yet, or has no such space.
    """
    corpus, model = run.study.corpus, load_trained(run, place)
    split = corpus.split("test")
    rows = np.arange(len(split))
    ids, mask = split.padded(rows)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(ids), BATCH):
            token_ids = torch.from_numpy(ids[start : start + BATCH]).to(place.device)
            found = model.spaces(token_ids)
            if space not in found:
                known = ", ".join(found)
                raise InputError(f"--space {space!r}: {run.name} has none; it has {known}")
            parts.append(found[space].float().cpu().numpy())
    bundle = Bundle(
        texts=split.texts(rows),
        z=np.concatenate(parts) * mask[..., None],
        mask=mask,
        tokens=[
            corpus.tokenizer.decode_tokens(row[kept]) for row, kept in zip(ids, mask, strict=True)
        ],
        offsets=split.token_offsets(rows),
        labels=named_labels(corpus, split),
        about={
            "provenance": {"study": run.study.config.name, "run": run.name, "space": space},
            "tokenizer": corpus.manifest["tokenizer_fingerprint"],
        },
    )
    return write_bundle(directory, bundle)
