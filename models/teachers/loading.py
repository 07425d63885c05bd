"""From a `TeacherConfig` to a `Teacher`."""

from __future__ import annotations

import torch

from models.teachers.config import TeacherConfig
from models.teachers.pretrained import load_pretrained, load_random
from models.teachers.teacher import Teacher


def load_teacher(config: TeacherConfig, device: torch.device | str = "cpu") -> Teacher:
    """Load the frozen teacher that `config` names."""
    if config.name == "random":
        return Teacher(load_random(config.seed, device), config.layer)
    return Teacher(load_pretrained(config.name, device), config.layer)
