"""Verbs of the tasks beyond continuing a prompt: filling gaps, and writing towards a label.

Heavy imports stand inside the functions. Every verb returns its exit code.
"""

from __future__ import annotations

from typing import Any

from workbench.cli.options import DEFAULTS, CommonOptions, Name
from workbench.cli.output import Output
from workbench.cli.show_results import show_samples
from workbench.cli.table import print_table
from workbench.errors import InputError


def infill(
    run: Name,
    *,
    text: tuple[str, ...] = (),
    length: int,
    held_out: int = 0,
    num_steps: int | None = None,
    seed: int = 0,
    common: CommonOptions = DEFAULTS,
) -> int:
    """Fill the gap of each text, written ___, with a generator that sees both sides of it.

    With --held-out, gaps in the middle of held-out texts are filled and scored instead: the share
    of 4-grams over a gap's edges that the training texts hold, beside the human middle and that of
    another text.

    Args:
        run: STUDY/GENERATOR, of a family that `generators` lists with infilling.
        text: one or more texts, each with one gap.
        held_out: how many held-out texts.
        length: tokens of a gap.
        num_steps: steps of writing; by default the generator's own.
        seed: of the random numbers.
        common: options of every verb.
    """
    from workbench.sample.infill import fill_gaps
    from workbench.score.infilling import measure_infilling
    from workbench.study.generators import find_generator

    found = find_generator(run)
    if found is None:
        raise InputError(f"{run!r} names no generator: an arm writes what follows a prompt only")
    if bool(text) == bool(held_out):
        raise InputError("give either --text or --held-out")
    with Output(common) as output, output.context(found.study.config.base.device) as context:
        options: dict[str, Any] = {"seed": seed, "num_steps": num_steps}
        if held_out:
            _show_infilling(output, measure_infilling(found, length, held_out, context, **options))
        else:
            show_samples(output, fill_gaps(found, list(text), length, context, **options))
    return 0


def _show_infilling(output: Output, result: dict[str, Any]) -> None:
    from workbench.report.number_text import interval_text

    def for_people() -> None:
        kinds = ("written", "human", "another", "difference")
        rows = [[kind, interval_text(result[kind]), str(result[kind]["n"])] for kind in kinds]
        print_table(["middle", "valid 4-grams over its edges", "texts"], rows)
        print("\n".join(result["texts"]))

    output.result(result, for_people)


def control(
    run: Name,
    *,
    label: str,
    target: str,
    texts: int = 100,
    common: CommonOptions = DEFAULTS,
) -> int:
    """Lead a generator towards a label, and count how often its texts have it.

    Args:
        run: STUDY/GENERATOR, of a family that `generators` lists with control by a label.
        label: a label of whole texts, such as `mood`.
        target: the wanted class of it.
        texts: how many are written with control, and how many without.
        common: options of every verb.
    """
    from workbench.report.number_text import interval_text, number_text
    from workbench.score.control import measure_control
    from workbench.study.generators import find_generator

    if texts < 2:
        raise InputError(f"--texts must be >= 2, got {texts}")
    found = find_generator(run)
    if found is None:
        raise InputError(f"{run!r} names no generator: an arm is not controlled by a label")
    with Output(common) as output, output.context(found.study.config.base.device) as context:
        result = measure_control(found, label, target, texts, context)

        def for_people() -> None:
            kinds = ("controlled", "free", "difference")
            rows = [[kind, interval_text(result[kind]), str(result[kind]["n"])] for kind in kinds]
            print_table([f"{label} = {target}", "share", "texts"], rows)
            right, most = (number_text(result[key]) for key in ("judge_accuracy", "majority"))
            print(f"the judge is right on {right} of held-out texts; the largest class has {most}")

        output.result(result, for_people)
    return 0
