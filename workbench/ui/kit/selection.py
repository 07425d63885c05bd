"""What the reader looks at: a study, two of its arms, a seed."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from workbench.study.folders import Run, Study

STATE = "_selection"


@dataclass(frozen=True)
class Selection:
    """What the reader looks at.

    Attributes:
        study: the study.
        name: its name under the runs directory.
        first: arm A, the one that others are compared with.
        second: arm B; equal to A in a study of one arm.
        seed: of both.
        is_example: whether the study came with the workbench.
    """

    study: Study
    name: str
    first: str
    second: str
    seed: int
    is_example: bool = False

    @property
    def arms(self) -> tuple[str, ...]:
        """The two arms, or the one."""
        return tuple(dict.fromkeys((self.first, self.second)))

    @property
    def all_arms(self) -> list[str]:
        """Every arm of the study, for stable colours."""
        return self.study.all_arms

    @property
    def runs(self) -> dict[str, Run]:
        """The run of each selected arm."""
        return {arm: self.study.run(arm, self.seed) for arm in self.arms}


def current_selection() -> Selection | None:
    """The sidebar's choice; None where no study opens."""
    return st.session_state.get(STATE)
