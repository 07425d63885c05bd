"""What a page shows before there is anything to show: how to get it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from workbench.study.folders import Run, Study
from workbench.study.generators import GeneratorRun, generator_runs
from workbench.ui.kit.escape import inline
from workbench.ui.kit.selection import Selection, current_selection


def selection_or_stop() -> Selection:
    """The reader's selection; without a study, an offer to make one, and the page ends."""
    selection = current_selection()
    if selection is not None:
        return selection
    from workbench.ui.sections.shared.job_cards import offer_demo

    st.info(
        "There is no study to look at yet. The demo trains two small text autoencoders that differ "
        "in one thing, lets both write, and compares them.",
        icon=":material/science:",
    )
    offer_demo()
    st.stop()


def comparison_or_stop(selection: Selection) -> dict[str, Any]:
    """What the study's end found; before it, its progress, and the page ends."""
    from workbench.ui.kit.cached import comparison_of
    from workbench.ui.sections.shared.job_cards import watch_jobs

    stop_for_other_seeds(selection)
    _stop_for_bundles(selection, "is part of no comparison")
    comparison = comparison_of(selection.study)
    if comparison is not None:
        return comparison
    st.info(_how_far(selection.study), icon=":material/hourglass_top:")
    watch_jobs()
    st.stop()


def _how_far(study: Study) -> str:
    """How many runs of an unfinished study are done, and what stands first in the next."""
    from workbench.pipeline.stages import stages_of

    owners: list[Run | GeneratorRun] = [*study.runs, *generator_runs(study)]
    done, begun = 0, ""
    for owner in owners:
        states = {stage.name: stage.state(owner) for stage in stages_of(owner)}
        left = [(name, state) for name, state in states.items() if not state.is_done]
        if not left:
            done += 1
        elif owner.directory.is_dir() and not begun:
            name, state = left[0]
            begun = f" {owner.name} is at `{name}`, {state.done} of {state.total} {state.unit}."
    return (
        f"This study has not reached its comparison yet: {done} of {len(owners)} runs are done."
        f"{begun} Playback, Generate and the pages of the latent space show arms that are."
    )


def require_runs(
    selection: Selection, needs: str = "flow", *, bundles: bool = False
) -> dict[str, Run]:
    """The selected runs; says which is unfinished and ends the page where one is.

    Args:
        selection: of the sidebar.
        needs: `vae`, `latents`, `flow`, `samples`: folder that has to be complete.
        bundles: whether latents alone, from a bundle, will do.
    """
    stop_for_other_seeds(selection)
    if not bundles:
        _stop_for_bundles(selection, f"has no stage `{needs}`")
    missing = [
        arm
        for arm, run in selection.runs.items()
        if not _is_there(run, needs if run.imported is None else "latents")
    ]
    if missing:
        st.info(
            f"{' and '.join(missing)}: the stage `{needs}` is not finished yet. "
            "This page fills as the study goes on.",
            icon=":material/hourglass_top:",
        )
        from workbench.ui.sections.shared.job_cards import watch_jobs

        watch_jobs()
        st.stop()
    return selection.runs


def stop_for_other_seeds(selection: Selection) -> None:
    """End the page where a selected arm came from a bundle that stands beside another seed."""
    seeds: dict[str, list[str]] = {}
    for run in selection.study.imported:
        seeds.setdefault(run.arm, []).append(str(run.seed))
    for arm in selection.arms:
        if arm in seeds and str(selection.seed) not in seeds[arm]:
            st.info(
                f"{inline(arm)} came from a latent bundle for seed {', '.join(seeds[arm])}. Choose "
                f"that seed, or `import` its latents of another training with --seed "
                f"{selection.seed}.",
                icon=":material/inventory_2:",
            )
            st.stop()


def _stop_for_bundles(selection: Selection, why: str) -> None:
    """End the page where a selected arm came from a bundle."""
    found = [arm for arm, run in selection.runs.items() if run.imported is not None]
    if found:
        st.info(
            f"{inline(found[0])} came from a latent bundle and {why}. Look at it on Geometry, the "
            "Latent map, Neighbours or Separability, or choose another arm.",
            icon=":material/inventory_2:",
        )
        st.stop()


def _is_there(run: Run, needs: str) -> bool:
    directory = run.directory / needs
    if needs in ("vae", "flow"):
        return any((step / "manifest.json").is_file() for step in directory.glob("step-*"))
    return (directory / "manifest.json").is_file()
