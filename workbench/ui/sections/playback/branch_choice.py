"""The form of a branch: change one thing at a step and see what becomes of the run.

Keys in the address say "fork", the former word, so that addresses kept in findings still work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from workbench.sample.branches import Branch, BranchKind

if TYPE_CHECKING:
    from workbench.sample.playback import PlaybackView
    from workbench.ui.kit.selection import Selection

KINDS: tuple[BranchKind, ...] = ("renoise", "nudge", "blend", "guidance")


def choose_branch(selection: Selection, view: PlaybackView) -> tuple[str, Branch] | None:
    """Which arm to branch, at which step, and how; part of the address."""
    question = "Branch: change one thing at a step and see the other future"
    if not st.toggle(question, key="forked", bind="query-params"):
        return None
    arm_column, step_column, kind_column, how, seed_column = st.columns([1, 1.2, 1, 1.4, 0.8])
    arm = arm_column.selectbox("Arm", selection.arms, key="fork-arm", bind="query-params")
    step = step_column.slider(
        "At step", 1, view.num_steps - 1, view.num_steps // 2, key="fork-at", bind="query-params"
    )
    kind: BranchKind = kind_column.selectbox("Change", KINDS, key="fork-by", bind="query-params")
    seed = int(
        seed_column.number_input("Branch seed", 0, 9999, 1, key="fork-seed", bind="query-params")
    )
    with how:
        return arm, _choose_change(kind, step, seed)


def _choose_change(kind: BranchKind, step: int, seed: int) -> Branch:
    """How far back, how strong, or which guidance."""
    if kind == "renoise":
        back = 0 if step == 1 else st.slider(
            "Back to step", 0, step - 1, step // 2, key="fork-back", bind="query-params"
        )  # fmt: skip
        return Branch(step=step, kind=kind, back_to=back, seed=seed)
    if kind == "guidance":
        scale = st.slider(
            "Guidance from here", 0.0, 8.0, 3.0, 0.25, key="fork-scale", bind="query-params"
        )
        return Branch(step=step, kind=kind, guidance_scale=scale)
    largest = 1.0 if kind == "blend" else 3.0
    label = "Share of the other noise" if kind == "blend" else "Size (latent std)"
    strength = st.slider(label, 0.0, largest, 0.5, 0.05, key=f"fork-{kind}", bind="query-params")
    return Branch(step=step, kind=kind, strength=strength, seed=seed)
