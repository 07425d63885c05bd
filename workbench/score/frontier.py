"""Quality against cost: one setting of writing moved over values, on the first held-out prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.sample.continuations import continue_prompts
from workbench.sample.generators import write_texts
from workbench.sample.outside import open_generator
from workbench.sample.prompts import held_out_prompts
from workbench.score.evaluate import describe_scores
from workbench.score.judge import Judge
from workbench.store.json_files import write_json
from workbench.study.generators import GeneratorRun
from workbench.train.generators import load_trained

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.machine.context import StageContext
    from workbench.sample.continued import Continuations
    from workbench.sample.prompts import Prompts
    from workbench.study.folders import Run

OF_AN_ARM = ("num_steps", "guidance_scale", "internal_scale")


def measure_frontier(
    run: Run | GeneratorRun,
    setting: str,
    values: Sequence[float],
    num_prompts: int,
    context: StageContext,
) -> list[dict[str, Any]]:
    """Scores and costs of the continuations under each value; the other settings stay.

    The same prompts and seed at every value, so that rows differ in the setting alone. They are
    also written to `frontiers/<setting>.json` in the run's folder.

    Args:
        run: a trained arm or generator of a finished study.
        setting: one of the settings of its writing.
        values: what it takes, in order.
        num_prompts: how many of the held-out prompts, the first ones.
        context: device, reporter and stop signal.

    Returns:
        Per value: `value`, `nfe`, `seconds_per_text`, `below_own` (fewer steps than the run's own
        settings have, which says little about its family), and `metrics` as in `evaluation.json`.

    Raises:
        InputError: there is no such setting, or the run is not trained.
        ValueError: a value is out of range.
    """
    writers = [_writer(run, setting, value) for value in values]  # all are checked before any runs
    judge = Judge(run.study, context.place, num_prompts)
    known = judge.references
    prompts = held_out_prompts(judge.corpus, known.indices, known.cuts, known.prompts, joint=False)
    model = (
        load_trained(run, context.place)
        if isinstance(run, GeneratorRun)
        else open_generator(run, context.place)
    )
    rows = []
    for number, (value, write) in enumerate(zip(values, writers, strict=True)):
        context.reporter.update("frontier", number, len(values), {})
        written = write(model, prompts, context)
        scores = judge.score(written.texts, written.token_ids, written.ended)
        rows.append(
            {
                "value": value,
                "nfe": written.nfe,
                "seconds_per_text": written.seconds / len(written.texts),
                "below_own": setting == "num_steps" and value < _own_steps(run),
                "metrics": describe_scores(scores, judge)["metrics"],
            }
        )
    context.reporter.update("frontier", len(values), len(values), {})
    write_json(frontier_file(run, setting), {"prompts": len(prompts), "rows": rows})
    return rows


def frontier_file(run: Run | GeneratorRun, setting: str) -> Path:
    """Where a frontier is stored."""
    return run.directory / "frontiers" / f"{setting}.json"


def _writer(run: Run | GeneratorRun, setting: str, value: Any) -> Callable[..., Continuations]:
    """How a run continues prompts with one setting changed."""
    if isinstance(run, GeneratorRun):
        own = getattr(run.config.sampling, setting, None)
        options = run.config.writing(**{setting: _as_kind(own, setting, value)})

        def write(model: Any, prompts: Prompts, context: StageContext) -> Continuations:
            size = run.study.config.base.sampling.batch_size
            return write_texts(
                model, run.study.corpus, prompts, context,
                sampling=options, seed=run.seed, batch_size=size,
            )[0]  # fmt: skip

        return write
    if setting not in OF_AN_ARM:
        known = ", ".join(OF_AN_ARM)
        raise InputError(f"{setting}: an arm has no such setting; it has {known}")
    sampling = run.config.sampling
    value = _as_kind(1 if setting == "num_steps" else 1.0, setting, value)
    steps = {"num_steps": value} if setting == "num_steps" else {}
    scale = value if setting == "guidance_scale" else sampling.guidance_scales[0]
    sampler, guidance = replace(sampling.sampler, **steps), sampling.guidance(scale)
    inside = {"internal_scale": value} if setting == "internal_scale" else {}
    replace(run.config, sampling=replace(sampling, **inside))  # refuses what the run cannot do

    def denoise(model: Any, prompts: Prompts, context: StageContext) -> Continuations:
        model = replace(model, **inside) if inside else model
        return continue_prompts(
            model, run.study.corpus, prompts, context,
            sampler=sampler, guidance=guidance, seed=run.seed, batch_size=sampling.batch_size,
        )  # fmt: skip

    return denoise


def _as_kind(own: Any, setting: str, value: float) -> Any:
    """A number as the setting has it: on or off, whole, or any."""
    if isinstance(own, bool):
        return bool(value)
    if isinstance(own, int) and not float(value).is_integer():
        raise InputError(f"{setting}: must be a whole number, got {value}")
    return int(value) if isinstance(own, int) else value


def _own_steps(run: Run | GeneratorRun) -> int:
    """Steps under the run's own settings."""
    if isinstance(run, GeneratorRun):
        return int(run.config.sampling.num_steps)
    return run.config.sampling.sampler.num_steps
