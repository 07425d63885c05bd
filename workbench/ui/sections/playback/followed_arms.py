"""Both arms followed from noise to text, and the branch beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.report.findings import Number
from workbench.report.findings.shown import playback_numbers
from workbench.sample.playback import FIDELITY, Following, PlaybackView
from workbench.study.generators import generator_runs
from workbench.ui.kit.error_card import guarded
from workbench.ui.sections.playback.lanes import follow, follow_written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.sample.branches import Branch
    from workbench.sample.writing_playback import WritingFollowed
    from workbench.study.folders import Run
    from workbench.ui.kit.selection import Selection


@dataclass
class Followed:
    """What the player shows.

    Attributes:
        view: what was asked.
        bases: arm -> its own run.
        lanes: title -> (run, what was followed, subtitle), the branch last.
        written: generator of another family -> what it wrote on the same clock.
        untrained: generators whose training has not ended.
    """

    view: PlaybackView
    bases: dict[str, Following] = field(default_factory=dict)
    lanes: dict[str, tuple[Run, Following, str]] = field(default_factory=dict)
    written: dict[str, WritingFollowed] = field(default_factory=dict)
    untrained: list[str] = field(default_factory=list)

    def numbers(self, seed: int) -> list[Number]:
        """What a finding keeps: of our own arms, as no adapter runs again to check it."""
        ours = {arm: found for arm, found in self.bases.items() if found.track.aligned}
        return playback_numbers(ours, self.view, seed)

    def without_fidelity(self) -> str:
        """Why there is no curve of fidelity; empty where there is one."""
        if any(FIDELITY in found.curves for found in self.bases.values()):
            return ""
        if self.view.typed:
            return "No curve of fidelity: no expected facts are known for a typed prompt."
        return "No curve of fidelity: no fact of this prompt returns in what a human wrote next."


def follow_arms(
    runs: Mapping[str, Run], view: PlaybackView, branch: tuple[str, Branch] | None
) -> Followed:
    """Follow every arm, and the branch of one; what fails is a card and the rest goes on."""
    followed = Followed(view)
    for arm, run in runs.items():
        with guarded(f"Arm {arm}"):
            followed.bases[arm] = follow(run, view)
            how = f"seed {view.seed}, guidance {view.guidance_scale:g}"
            followed.lanes[run.title] = (run, followed.bases[arm], how)
    if branch is not None and branch[0] in followed.bases:
        arm, change = branch
        with guarded("The branch"):
            branched = follow(runs[arm], view, change)
            followed.lanes[f"{runs[arm].title}, branched"] = (
                runs[arm],
                branched,
                change.describe(),
            )
    return followed


def follow_generators(selection: Selection, followed: Followed) -> None:
    """Add the study's generators that are trained, on the clock of the longest arm's lane."""
    from workbench.pipeline.stages import STAGES

    found = list(followed.bases.values())
    for run in generator_runs(selection.study):
        if run.seed != selection.seed:
            continue
        if not STAGES["generator"].state(run).is_done:
            followed.untrained.append(run.generator)
            continue
        with guarded(f"Generator {run.generator}"):
            moments = max(len(one.track.t) for one in found)
            followed.written[run.generator] = follow_written(run, followed.view, moments)
