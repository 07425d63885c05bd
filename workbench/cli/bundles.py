"""Verbs that exchange latents with other models: see `docs/BUNDLES.md`.

Heavy imports stand inside the functions. Every verb returns its exit code.
"""

from __future__ import annotations

from pathlib import Path

from workbench.cli.options import DEFAULTS, CommonOptions, Name
from workbench.cli.output import Output


def export_bundle(
    run: Name, *, space: str = "middle", out: str = "", common: CommonOptions = DEFAULTS
) -> int:
    """Write the held-out latents of a run, or a generator's own states, as a latent bundle.

    Args:
        run: STUDY/ARM/SEED, for example demo/repa/0, or the run's folder; or STUDY/GENERATOR.
        space: of a generator: its token `embeddings`, or its states in the `middle` of its depth.
        out: the bundle's folder; by default STUDY-ARM-SEED, or STUDY-GENERATOR-SPACE-SEED, where
            the command is started.
        common: options of every verb.
    """
    from workbench.study.folders import Run
    from workbench.study.generators import find_writer
    from workbench.train.bundle_arms import export_run
    from workbench.train.generator_spaces import export_generator

    found = find_writer(run)
    own = found.arm if isinstance(found, Run) else f"{found.generator}-{space}"
    folder = Path(out or f"{found.study.directory.name}-{own}-{found.seed}")
    with Output(common) as output, output.context(found.study.config.base.device) as context:
        if isinstance(found, Run):
            written = export_run(found, folder, context.place)
        else:
            written = export_generator(found, space, folder, context.place)
        output.show({"bundle": str(written)})
    return 0


def import_bundle(
    bundle: Name,
    *,
    study: str,
    arm: str = "",
    seed: int | None = None,
    common: CommonOptions = DEFAULTS,
) -> int:
    """Make a latent bundle an arm of a study, to be probed beside its own.

    Args:
        bundle: the bundle's folder.
        study: the study's folder, or its name under the runs directory; its corpus is prepared.
        arm: the arm's name; by default that of the bundle's folder.
        seed: which of the study's seeds it stands beside; by default the first.
        common: options of every verb.
    """
    from workbench.study.folders import find_study
    from workbench.train import bundle_arms

    with Output(common) as output:
        run = bundle_arms.import_bundle(Path(bundle), find_study(study), arm, seed)
        name = f"{run.study.directory.name}/{run.arm}/{run.seed}"
        output.show({"arm": name, "latents": str(run.latents_dir), "next": f"probe {name}"})
    return 0


def encode(
    study: Name,
    *,
    adapter: str,
    model: str = "",
    arm: str = "",
    seed: int | None = None,
    common: CommonOptions = DEFAULTS,
) -> int:
    """Encode a study's held-out texts by a model from outside, and make it an arm.

    Args:
        study: the study's folder, or its name under the runs directory; its corpus is prepared.
        adapter: a Python file that defines load(model), MODULE:NAME of an installed package, or a
            name in the study's `adapters`. It has all your rights: read it first.
        model: what the adapter is given, such as the folder of the weights; by default the study's.
        arm: the arm's name, by default the adapter's in the study; its bundle is in bundles/ARM.
        seed: which of the study's seeds it stands beside; by default the first.
        common: options of every verb.
    """
    from workbench.errors import InputError
    from workbench.study.bundle import held_out_texts, write_bundle
    from workbench.study.folders import find_study
    from workbench.train import bundle_arms
    from workbench.train.adapters import encode_texts, load_adapter, source_of

    found = find_study(study)
    known = found.config.adapters.get(adapter)
    arm, model = arm or (adapter if known else ""), model or (known.model if known else "")
    for name, value in (("--model", model), ("--arm", arm)):
        if not value:
            raise InputError(
                f"--adapter {adapter}: give {name} too, or name both in the study's `adapters`"
            )
    own = found.run(arm, found.config.seeds[0] if seed is None else seed)
    with Output(common) as output:
        bundle_arms.check_arm(own)
        loaded = load_adapter(known.source if known else source_of(adapter), model)
        bundle = encode_texts(loaded, held_out_texts(str(found.directory)))
        run = bundle_arms.import_bundle(write_bundle(own.bundle_dir, bundle), found, arm, own.seed)
        shown = {k: v for k, v in bundle.about["provenance"].items() if k.startswith("texts")}
        output.show({"arm": f"{found.directory.name}/{run.arm}/{run.seed}", **shown})
    return 0
