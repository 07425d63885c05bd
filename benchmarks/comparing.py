"""How the cost of comparing grows with arms x seeds, on stored results under other names.

One smoke study is finished; its runs then stand, linked, for every arm and seed of larger studies.
What they stored is small (24 prompts, 40 texts to probe), so exponents say more than seconds.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.measuring import Growth, Setting, costs_of, growth_of
from benchmarks.processes import most_megabytes, python
from workbench.config import settings
from workbench.machine.context import StageContext
from workbench.machine.devices import find_placement
from workbench.pipeline.run_study import conclude
from workbench.probes.pair import pair_file, pair_fingerprint, probe_pairs
from workbench.score.evaluate import evaluation_fingerprint
from workbench.store.json_files import read_json, write_json
from workbench.store.manifest import MANIFEST, read_manifest, write_manifest
from workbench.study.folders import Study, open_study
from workbench.train.vae import vae_fingerprint

if TYPE_CHECKING:
    from workbench.study.folders import Run

SHAPES = {2: (2, 1), 8: (4, 2), 24: (6, 4), 72: (12, 6), 200: (20, 10)}  # runs: arms, seeds
QUICK = (2, 8)
MOST_PAIRED = 24  # beyond it pairs are stored already: each costs the same
SHARED = ("corpus", "teacher", "language_model", "references", "baselines")


def growth_of_arms(setting: Setting) -> Iterator[Growth]:
    """Probing pairs of arms, and all else that `conclude` does: contrasts, scorecard, report."""
    with TemporaryDirectory(prefix="benchmark-") as name:
        finished = Path(name) / "smoke"
        python("-m", "workbench", "study", "--preset", "smoke", "--out", str(finished), "--quiet")
        yield from compared(open_study(finished), QUICK if setting.quick else tuple(SHAPES))


def compared(finished: Study, sizes: tuple[int, ...]) -> Iterator[Growth]:
    """Compare the runs of a finished study, multiplied to each of `sizes` (of `SHAPES`)."""
    context = StageContext(find_placement("cpu"))
    with TemporaryDirectory(prefix="benchmark-") as name:
        conclude(multiplied(finished, Path(name) / "first", *SHAPES[2]), context)  # imports
        start, pairs, probed, rest, megabytes = most_megabytes(), [], [], [], []
        for size in sizes:
            study = multiplied(finished, Path(name) / str(size), *SHAPES[size])
            if size <= MOST_PAIRED:
                pairs.append((len(study.config.arms) - 1) * len(study.config.seeds))
                probed.append(costs_of(partial(probe_pairs, study, context))[1])
            else:
                _store_pairs(study, finished)
            rest.append(costs_of(partial(conclude, study, context))[1])
            megabytes.append(round(most_megabytes() - start, 1))
    yield growth_of("probe pairs of arms", "pairs", tuple(pairs), [probed])
    yield growth_of("compare arms x seeds", "runs", sizes, [rest], tuple(megabytes))


def multiplied(finished: Study, directory: Path, arms: int, seeds: int) -> Study:
    """A study of arms x seeds that waits to be compared; its runs are links to `finished`."""
    kinds = list(finished.config.arms)
    source = {f"{kinds[n % len(kinds)]}-{n}": kinds[n % len(kinds)] for n in range(arms)}
    config = dataclasses.replace(
        finished.config,
        arms={name: finished.config.arms[kind] for name, kind in source.items()},
        seeds=tuple(range(seeds)),
    )
    for name in SHARED:
        _link(finished.directory / name, directory / name)
    record = read_json(finished.directory / "study.json")
    write_json(directory / "study.json", {**record, "config": settings.to_dict(config)})
    study = open_study(directory)
    for run in study.runs:
        _link(finished.run(source[run.arm], finished.config.seeds[0]).directory, run.directory)
        _rename(run)
    return study


def _link(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=os.link)


def _rename(run: Run) -> None:
    """Let a run's scores and autoencoder say that they were made under its own settings."""
    scores = read_json(run.evaluation_file)
    write_json(run.evaluation_file, {**scores, "fingerprint": evaluation_fingerprint(run)})
    for checkpoint in run.vae_dir.glob("step-*"):
        meta, stored = read_manifest(checkpoint).meta, read_json(checkpoint / "state.json")
        state = {**stored["state"], "fingerprint": vae_fingerprint(run)}
        (checkpoint / MANIFEST).unlink()
        write_json(checkpoint / "state.json", {**stored, "state": state})
        write_manifest(checkpoint, meta)


def _store_pairs(study: Study, finished: Study) -> None:
    """Give every pair the results of the finished study's first."""
    seed, (first, *others) = finished.config.seeds[0], study.config.arms
    known = read_json(pair_file(*(finished.run(arm, seed) for arm in [*finished.config.arms][:2])))
    for arm, seed in itertools.product(others, study.config.seeds):
        a, b = study.run(first, seed), study.run(arm, seed)
        own = {"a": first, "b": arm, "seed": seed, "fingerprint": pair_fingerprint(a, b)}
        write_json(pair_file(a, b), {**known, **own})
