"""From a `TeacherConfig` to a `Teacher`."""

from __future__ import annotations

import torch

from models.configs.teacher import TeacherConfig, is_untrained
from models.teachers.backbone import Backbone
from models.teachers.pretrained import load_pretrained, load_random
from models.teachers.teacher import Teacher


def load_teacher(
    config: TeacherConfig, device: torch.device | str = "cpu", own: Backbone | None = None
) -> Teacher:
    """Load the frozen teacher that `config` names.

    Args:
        config: Name, layer and seed.
        device: Where it runs.
        own: The trained `OwnBackbone`, for `own` only.

    Raises:
        ValueError: the model is missing or has no such layer, or `own` is not given.
    """
    return Teacher(_load_backbone(config, device, own), config.layer)


def _load_backbone(
    config: TeacherConfig, device: torch.device | str, own: Backbone | None
) -> Backbone:
    if config.name == "own":
        if own is None:
            raise ValueError("teacher own: needs the language model trained on the corpus")
        return own
    if is_untrained(config.name):
        return load_random(config.name, config.seed, device)
    return load_pretrained(config.name, device)
