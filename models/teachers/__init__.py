"""Frozen language models whose hidden states arrange the text VAE's latents."""

from models.configs.teacher import TeacherConfig, resolve_layer
from models.teachers.anisotropy import Anisotropy, anisotropy
from models.teachers.loading import load_teacher
from models.teachers.own import OwnBackbone
from models.teachers.permutation import derangement
from models.teachers.standardiser import RunningMoments, Standardiser
from models.teachers.teacher import StateTally, Teacher, TokenStates

__all__ = [
    "Anisotropy",
    "OwnBackbone",
    "RunningMoments",
    "Standardiser",
    "StateTally",
    "Teacher",
    "TeacherConfig",
    "TokenStates",
    "anisotropy",
    "derangement",
    "load_teacher",
    "resolve_layer",
]
