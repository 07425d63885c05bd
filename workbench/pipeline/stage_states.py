"""How far each stage of a run is, read from manifests and fingerprints; no weights are loaded."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.errors import DamagedArtefactError
from workbench.store.json_files import read_json
from workbench.store.manifest import is_complete, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.corpus_store import Corpus
    from workbench.study.folders import Run

# In the order in which they stand on each other; what `run_stage` takes.
Stage = Literal["vae", "flow", "samples", "probes", "evaluation"]
STAGES: tuple[Stage, ...] = ("vae", "flow", "samples", "probes", "evaluation")


@dataclass(frozen=True, kw_only=True, slots=True)
class StageState:
    """How far a stage is under the run's present settings.

    Attributes:
        done: units complete: steps of a training, probes, guidance scales.
        total: units in all.
        unit: what they are.
    """

    done: int
    total: int
    unit: str

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to compute."""
        return self.done >= self.total


def stage_state(run: Run, stage: Stage, corpus: Corpus, probes: Sequence[str] = ()) -> StageState:
    """How far one stage of a run is.

    Args:
        run: a run of a prepared study.
        stage: one of `STAGES`.
        corpus: the study's.
        probes: names that count for the stage `probes`; empty stands for those of the study.

    Raises:
        DamagedArtefactError: what the stage stored cannot be read.
    """
    from workbench.sample.held_out import sampling_fingerprint
    from workbench.score.evaluate import evaluation_fingerprint
    from workbench.train.flow import flow_fingerprint
    from workbench.train.latents import latents_fingerprint
    from workbench.train.vae import vae_fingerprint

    vae = vae_fingerprint(run, corpus)
    if stage == "vae":
        return _trained(run.vae_dir, run.config.vae_training.num_steps, vae)
    if stage == "flow":
        print_ = flow_fingerprint(run, latents_fingerprint(run, vae))
        return _trained(run.flow_dir, run.config.flow_training.num_steps, print_)
    if stage == "probes":
        return _probed(run, corpus, probes)
    scales = len(run.config.sampling.guidance_scales)
    if stage == "samples":
        print_ = sampling_fingerprint(run, corpus)
        folders = [run.samples_dir, run.trajectories_dir]
    else:
        print_, folders = evaluation_fingerprint(run, corpus), [run.scores_dir]
    done = all(is_complete(folder, print_) for folder in folders)
    if stage == "evaluation":
        done = done and run.evaluation_file.is_file()
    return StageState(done=scales if done else 0, total=scales, unit="guidance scales")


def _trained(directory: Path, num_steps: int, print_: str) -> StageState:
    """Steps of the newest sound checkpoint that was trained under these settings."""
    from workbench.store.checkpoints import MODEL, STATE, list_checkpoints

    steps = 0
    for path in list_checkpoints(directory):
        # A damaged checkpoint does not count: training goes on from the one before it.
        with suppress(DamagedArtefactError):
            verify(path, names=frozenset({MODEL, STATE}))
            if read_json(path / STATE)["state"].get("fingerprint") == print_:
                steps = int(path.name.rpartition("-")[2])
    return StageState(done=steps, total=num_steps, unit="steps")


def _probed(run: Run, corpus: Corpus, names: Sequence[str]) -> StageState:
    from workbench.probes.catalogue import probe_names
    from workbench.probes.run import probe_fingerprint

    wanted = list(names) or probe_names(run.study.config.base.evaluation.probes)
    done = 0
    for name in wanted:
        file = run.probes_dir / f"{name}.json"
        if file.is_file():
            done += read_json(file).get("fingerprint") == probe_fingerprint(run, corpus, name)
    return StageState(done=done, total=len(wanted), unit="probes")
