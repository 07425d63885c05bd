"""Ready-made studies, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workbench.config.presets.on_gpus import gpu, textldm_114m, textldm_328m, textldm_768m
from workbench.config.presets.on_two_cores import (
    alignments,
    demo,
    families,
    laptop,
    scorecard,
    smoke,
)
from workbench.config.study import StudyConfig

PRESETS: Mapping[str, Callable[[], StudyConfig]] = {
    "smoke": smoke,
    "demo": demo,
    "families": families,
    "laptop": laptop,
    "gpu": gpu,
    "alignments": alignments,
    "scorecard": scorecard,
    "textldm-114m": textldm_114m,
    "textldm-328m": textldm_328m,
    "textldm-768m": textldm_768m,
}
