"""The probing stage of a run: every probe of the catalogue, cached by content and settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.latents import latents_fingerprint
from workbench.probe_catalog import PROBES
from workbench.stages import StageContext, stage_fingerprint
from workbench.store.json_files import read_json, write_json
from workbench.train_vae import vae_fingerprint

if TYPE_CHECKING:
    from analyses.result import Result
    from data.corpus_store import Corpus
    from workbench.runs import Run


def probe_run(
    run: Run, corpus: Corpus, context: StageContext, only: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Run the probes that are not stored yet.

    Args:
        run: a run whose latents are done.
        corpus: its corpus.
        context: who watches and who may stop it.
        only: names of probes; empty runs all.

    Returns:
        result name -> the result as JSON.

    Raises:
        ValueError: a name is no probe's.
    """
    unknown = [name for name in only if name not in PROBES]
    if unknown:
        raise ValueError(f"no probe {unknown[0]!r}; choose from {', '.join(PROBES)}")
    names = list(only or PROBES)
    results: dict[str, dict[str, Any]] = {}
    inputs = None
    for number, name in enumerate(names):
        context.stop.check("probes")
        context.reporter.update("probes", number, len(names), {"probe": name})
        file = run.probes_dir / f"{name}.json"
        print_ = stage_fingerprint(
            latents_fingerprint(run, vae_fingerprint(run, corpus)),
            run.study.config.base.evaluation,
            run.config.flow,
            name,
        )
        stored = read_json(file) if file.is_file() else {}
        if stored.get("fingerprint") != print_:
            if inputs is None:
                from workbench.probe_inputs import ProbeInputs

                inputs = ProbeInputs(run, corpus, context.place)
            found = PROBES[name].run(inputs)
            _write_items(run, found)
            stored = {
                "fingerprint": print_,
                "results": {result.name: result.to_json() for result in found},
            }
            write_json(file, stored)
        results.update(stored["results"])
    context.reporter.update("probes", len(names), len(names), {})
    return results


def _write_items(run: Run, results: Sequence[Result]) -> None:
    """One Parquet file a result that has a row for each point."""
    import io

    import pandas as pd

    from workbench.store.atomic import write_file

    for result in results:
        if result.per_item:
            buffer = io.BytesIO()
            pd.DataFrame(dict(result.per_item)).to_parquet(buffer, index=False)
            write_file(run.probes_dir / f"{result.name}.parquet", buffer.getvalue())
