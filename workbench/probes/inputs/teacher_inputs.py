"""Teacher states of the probed tokens: the stored layer, or several computed on the spot.

Every arm is compared with the study's first teacher, unpermuted, so that the numbers of arms with
and without alignment can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.config.run import needs_teacher
from workbench.store.json_files import read_json

if TYPE_CHECKING:
    from workbench.config.run import RunConfig
    from workbench.probes.inputs.run_inputs import RunInputs
    from workbench.study.folders import Study


@dataclass(frozen=True)
class TeacherTable:
    """A teacher's states for the token table.

    Attributes:
        name: the teacher's name.
        rows: (N,) rows of the token table that have a state.
        states: hidden layer -> (N, W) standardised states of these rows.
    """

    name: str
    rows: np.ndarray
    states: dict[int, np.ndarray]


def teacher_run_config(study: Study) -> RunConfig | None:
    """The configuration of the first arm that aligns with a teacher, its teacher unpermuted.

    None if no arm does.
    """
    for run in study.runs:
        if needs_teacher(run.config):
            return replace(run.config, teacher=replace(run.config.teacher, permuted=False))
    return None


def teacher_fingerprint(study: Study) -> str | None:
    """Fingerprint of the first teacher's stored states; None without a teacher."""
    config = teacher_run_config(study)
    if config is None:
        return None
    return str(read_json(study.teacher_dir(config) / "manifest.json")["meta"]["fingerprint"])


def stored_layer(inputs: RunInputs, config: RunConfig) -> TeacherTable:
    """The layer that the study stores, standardised as in REPA."""
    from workbench.train.teacher_states import read_states

    states = read_states(inputs.run.study, config, "test")
    found, valid = states.gather(inputs.token_texts, inputs.corpus.window)
    mask = torch.from_numpy(inputs.mask[: len(inputs.token_texts)])
    kept = valid[mask]
    return TeacherTable(
        name=config.teacher.name,
        rows=torch.nonzero(kept).ravel().numpy(),
        states={config.teacher.layer: found[mask][kept].numpy()},
    )


def several_layers(inputs: RunInputs, config: RunConfig) -> TeacherTable:
    """Embeddings and the middle, aligned and last layers, standardised on the probed tokens.

    Layers are counted from 0 = embeddings.
    """
    from models.configs.teacher import resolve_layer
    from models.teachers import RunningMoments, Standardiser
    from workbench.train.frozen_teacher import load_frozen

    teacher = load_frozen(inputs.run.study, config.teacher, inputs.place)
    last = teacher.num_layers
    layers = sorted({0, last // 2, resolve_layer(config.teacher.layer, last), last})
    texts = inputs.token_texts
    found = teacher.token_states(
        inputs.split.texts(texts), inputs.split.token_offsets(texts), layers
    )
    kept = found.valid
    states = {}
    for layer in layers:
        moments = RunningMoments(teacher.width)
        moments.update(found.states[layer][kept])
        standardiser = Standardiser.from_moments("dimension", moments)
        states[layer] = standardiser.apply(found.states[layer], kept)[kept].numpy()
    return TeacherTable(config.teacher.name, torch.nonzero(kept).ravel().numpy(), states)
