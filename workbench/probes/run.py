"""The probing stage of a run: probes from the catalogue, cached by content and settings."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.machine.context import StageContext, stage_fingerprint
from workbench.probes.catalogue import PROBES, probe_names
from workbench.store.atomic import write_file
from workbench.store.json_files import read_json, write_json
from workbench.study.model_content import ENCODER_CONTENT, encoder_content
from workbench.train.latents import latents_fingerprint

if TYPE_CHECKING:
    from analyses.result import Result
    from workbench.machine.devices import Placement
    from workbench.probes.inputs.probe_inputs import ProbeInputs
    from workbench.study.folders import Run
    from workbench.train.adapters import Adapter

PROBES_VERSION = 4  # raise it when what a probe computes changes


def probe_run(
    run: Run, context: StageContext, only: Sequence[str] = (), adapter: Adapter | None = None
) -> dict[str, dict[str, Any]]:
    """Run the probes that are not stored yet.

    Args:
        run: a run whose latents are done.
        context: reporter and stop signal.
        only: names of probes; empty runs those of `evaluation.probes`.
        adapter: decodes for an arm that it encoded; without it, what it decoded before is kept.

    Returns:
        result name -> the result as JSON.

    Raises:
        ValueError: no probe has this name.
        InputError: a probe needs a stage that is not done.
    """
    names = checked_names(only) or probe_names(run.study.config.base.evaluation.probes)
    results: dict[str, dict[str, Any]] = {}
    inputs = None
    for number, name in enumerate(names):
        context.stop.check("probes")
        context.reporter.update("probes", number, len(names), {"probe": name})
        file = run.probes_dir / f"{name}.json"
        print_ = probe_fingerprint(run, name, decoded=adapter is not None)
        stored = read_json(file) if file.is_file() else {}
        known, embedder = stored.get(ENCODER_CONTENT), _embedder(run, name)
        # Without the model or a stored hash we cannot tell whether it changed.
        exchanged = known is not None and embedder is not None and known != embedder
        is_known = stored.get("fingerprint") in (print_, probe_fingerprint(run, name, decoded=True))
        if not is_known or exchanged:
            if inputs is None:
                inputs = _Inputs(run, context.place, adapter)
            with context.stop.interrupting("probes"):
                found = probe_results(run, name, inputs.of(name), adapter)
            for result in found:
                write_items(run.probes_dir / f"{result.name}.parquet", result)
            stored = {
                "fingerprint": print_,
                ENCODER_CONTENT: embedder,
                "results": {result.name: result.to_json() for result in found},
            }
            write_json(file, stored)
        results.update(stored["results"])
    context.reporter.update("probes", len(names), len(names), {})
    return results


class _Inputs:
    """The arrays of a run, and those of its adapter for probes that decode."""

    def __init__(self, run: Run, place: Placement, adapter: Adapter | None) -> None:
        self._run, self._place, self._adapter = run, place, adapter

    def of(self, name: str) -> ProbeInputs:
        """What a probe reads."""
        return self._decoding if PROBES[name].decodes and self._adapter else self._own

    @cached_property
    def _own(self) -> ProbeInputs:
        from workbench.probes.inputs.probe_inputs import ProbeInputs

        return ProbeInputs(self._run, self._place)

    @cached_property
    def _decoding(self) -> ProbeInputs:
        from workbench.probes.inputs.adapter_inputs import AdapterInputs

        assert self._adapter is not None
        return AdapterInputs(self._run, self._place, self._adapter)


def probe_results(
    run: Run, name: str, inputs: ProbeInputs, adapter: Adapter | None = None
) -> list[Result]:
    """Run one probe, or say why it is not defined for this arm."""
    from analyses.result import undefined

    lacking = None if run.imported is None else PROBES[name].lacks(run.imported, adapter)
    if lacking is None and "samples" in PROBES[name].needs and not run.config.sampling.num_traces:
        lacking = "the study keeps no path of its sampler: sampling.num_traces is 0"
    if lacking is not None:
        return [undefined(PROBES[name].metrics, lacking, 0)]
    return PROBES[name].run(inputs)


def _embedder(run: Run, name: str) -> str | None:
    """Content hash of the model that embeds texts for this probe; None if it embeds none."""
    config = run.study.config.base.evaluation
    return encoder_content(config) if "judge" in PROBES[name].needs else None


def checked_names(only: Sequence[str]) -> list[str]:
    """The names without duplicates.

    Raises:
        ValueError: no probe has this name.
    """
    unknown = [name for name in only if name not in PROBES]
    if unknown:
        raise ValueError(f"no probe {unknown[0]!r}; choose from {', '.join(PROBES)}")
    return list(dict.fromkeys(only))


def probe_fingerprint(run: Run, name: str, *, decoded: bool = False) -> str:
    """Fingerprint of one probe's result: settings, latents, and everything else it reads.

    Args:
        run: the run.
        name: of the probe.
        decoded: whether the adapter that encoded the run was there to decode.
    """
    from workbench.probes.inputs.teacher_inputs import teacher_fingerprint
    from workbench.sample.held_out import sampling_fingerprint
    from workbench.train.flow import flow_fingerprint
    from workbench.train.language_model import language_model_fingerprint

    latents = latents_fingerprint(run)
    sources = {
        "flow": lambda: flow_fingerprint(run),
        "samples": lambda: sampling_fingerprint(run),
        "teacher": lambda: teacher_fingerprint(run.study),
        "judge": lambda: language_model_fingerprint(run.study),
    }
    # Which probes a study runs does not change any probe's result.
    evaluation = replace(run.study.config.base.evaluation, probes="all")
    return stage_fingerprint(
        PROBES_VERSION,
        name,
        latents,
        evaluation,
        run.config.flow,
        [sources[need]() for need in PROBES[name].needs],
        *([_adapted(run)] if decoded and PROBES[name].decodes and _adapted(run) else []),
    )


def _adapted(run: Run) -> Mapping[str, Any] | None:
    """The adapter that encoded an arm, by its hashes; None for any other arm."""
    return (run.imported or {}).get("provenance")


def write_items(path: Path, result: Result) -> None:
    """Write a Parquet file of the result's rows, if it has one row per point."""
    import pandas as pd

    if result.per_item:
        buffer = io.BytesIO()
        pd.DataFrame(dict(result.per_item)).to_parquet(buffer, index=False)
        write_file(path, buffer.getvalue())
