"""Frozen language models whose hidden states arrange the text VAE's latents."""

from models.teachers.config import TeacherConfig
from models.teachers.loading import load_teacher
from models.teachers.teacher import StateTally, Teacher, TokenStates

__all__ = ["StateTally", "Teacher", "TeacherConfig", "TokenStates", "load_teacher"]
