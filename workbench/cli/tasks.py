"""Verbs of the tasks beyond continuing a prompt: filling gaps, and writing under control.

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
    label: str | None = None,
    target: str | None = None,
    keyword: str | None = None,
    texts: int = 100,
    common: CommonOptions = DEFAULTS,
) -> int:
    """Ask a generator for a label or for a word, and count how often its texts have it.

    Towards a label it is led by a classifier. A word is given: it stands in the text from the first
    step, and the rest is written around it.

    Args:
        run: STUDY/GENERATOR, of a family that `generators` lists with control by the one asked for.
        label: a label of whole texts, such as `mood`.
        target: the wanted class of it.
        keyword: a word to write around, instead of --label and --target.
        texts: how many are written with control, and how many without.
        common: options of every verb.
    """
    from workbench.score.control import measure_control
    from workbench.score.keyword_control import measure_keyword
    from workbench.study.generators import find_generator

    if texts < 2:
        raise InputError(f"--texts must be >= 2, got {texts}")
    found = find_generator(run)
    if found is None:
        raise InputError(f"{run!r} names no generator: an arm cannot be controlled")
    if (label is None) != (target is None) or (label is None) == (keyword is None):
        raise InputError("give either --label with --target, or --keyword")
    with Output(common) as output, output.context(found.study.config.base.device) as context:
        if label is not None and target is not None:
            _show_label(
                output, f"{label} = {target}", measure_control(found, label, target, texts, context)
            )
        elif keyword is not None:
            _show_keyword(output, keyword, measure_keyword(found, keyword, texts, context))
    return 0


def _show_label(output: Output, wanted: str, result: dict[str, Any]) -> None:
    from workbench.report.number_text import interval_text, number_text

    def for_people() -> None:
        kinds = ("controlled", "free", "difference")
        rows = [[kind, interval_text(result[kind]), str(result[kind]["n"])] for kind in kinds]
        print_table([wanted, "share", "texts"], rows)
        right, most = (number_text(result[key]) for key in ("judge_accuracy", "majority"))
        print(f"the judge is right on {right} of held-out texts; the largest class has {most}")

    output.result(result, for_people)


def _show_keyword(output: Output, keyword: str, result: dict[str, Any]) -> None:
    from workbench.report.number_text import interval_text

    def for_people() -> None:
        shares = [
            [kind, *(interval_text(result[kind][name]) for name in ("has_word", "fits"))]
            for kind in ("controlled", "free", "pasted", "human")
        ]
        numbers = [str(result[kind]["fits"]["n"]) for kind, *_ in shares]
        rows = [[*row, number] for row, number in zip(shares, numbers, strict=True)]
        for name, against in (("over_free", "free"), ("over_pasted", "pasted")):
            difference = result[name]
            row = [f"controlled - {against}", "", interval_text(difference), str(difference["n"])]
            rows.append(row)
        print_table([f"keyword {keyword}", "has it", "it fits there", "texts"], rows)
        print("\n".join(result["texts"]["controlled"]))

    output.result(result, for_people)
