"""Numbers of arms, recomputed.

Scores and contrasts come from per-text tables with the stored seed, probes from the probe's own
code, the scorecard from the studies' tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.report.findings.ground import Ground, Measured, NotDefinedError
from workbench.score.directions import OF_ALL_TEXTS

if TYPE_CHECKING:
    from workbench.study.folders import Run


def arm_metric(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """A metric of one arm over its seeds, as in the comparison."""
    arm, metric = source["arm"], source["metric"]
    ground.run(arm, ground.study.config.seeds[0])
    return _of_scores(ground, arm, metric) if _is_score(metric) else _of_probe(ground, arm, metric)


def contrast(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """The paired difference a - b of a metric; read as stored for scores of all texts together."""
    a, b, metric = source["a"], source["b"], source["metric"]
    for arm in (a, b):
        ground.run(arm, ground.study.config.seeds[0])
    if metric.partition(".")[2].startswith(OF_ALL_TEXTS):
        return _stored_contrast(ground, a, b, metric)
    if _is_score(metric):
        return _score_contrast(ground, a, b, metric)
    from workbench.report.contrasts import probe_contrast

    first, second = (_of_probe(ground, arm, metric) for arm in (a, b))
    if first.value is None or second.value is None:
        return Measured(value=None)
    found = probe_contrast(*({"mean": m.value, **_ends(m)} for m in (first, second)))
    both = first.recomputed and second.recomputed
    return Measured(
        value=found.difference, low=found.low, high=found.high, n=found.n, recomputed=both
    )


def text_score(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """One prompt's score at the headline guidance scale."""
    run, seeds = ground.run(source["arm"], source["seed"]), ground.study.config.seeds
    scale = _scales(ground)["generation"]
    table = ground.scores(run.arm, scale)[seeds.index(run.seed)].per_text
    name, row = source["metric"], source["row"]
    if name not in table or not 0 <= row < len(table[name]):
        raise NotDefinedError(f"no score {name!r} of prompt {row + 1} any more")
    value = float(table[name][row])
    return Measured(value=value if value == value else None)


def probe_result(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """One result of one run, recomputed by the probe's own code."""
    run = ground.run(source["arm"], source["seed"])
    found, recomputed = _results(ground, run, source["result"])
    return _as_measured(found, recomputed)


def foretelling(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """Spearman correlation of a predictor with a score over the runs of the named studies."""
    from workbench.report.predictors import read_rows
    from workbench.store.paths import resolve_run

    studies = tuple(source["studies"])
    rows = ground.once(
        ("foretelling", studies), lambda: read_rows([resolve_run(name) for name in studies])
    )
    for row in rows:
        if (row.score, row.predictor) == (source["score"], source["predictor"]):
            found = row.spearman
            return Measured(value=found.value, low=found.low, high=found.high, n=row.num_runs)
    raise NotDefinedError(f"the scorecard has no {source['predictor']!r} any more")


def rank_correlation(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """Spearman correlation of reconstruction with a score over the runs of the named studies."""
    from workbench.report.predictors import compared_runs, reconstruction_correlation
    from workbench.store.json_files import read_json
    from workbench.store.paths import resolve_run
    from workbench.study.conditions import differing_conditions
    from workbench.study.folders import open_study

    runs: list[tuple[str, float, float]] = []
    studies = [open_study(resolve_run(name)) for name in source["studies"]]
    for name, study in zip(source["studies"], studies, strict=True):
        keys = differing_conditions(studies[0], study)
        if keys:
            raise NotDefinedError(f"no rank correlation: the studies differ in {', '.join(keys)}")
        comparison = read_json(study.directory / "comparison.json")
        runs += compared_runs(name, comparison, len(study.config.seeds), source["score"])
    found = reconstruction_correlation(runs)
    if found.value is None:
        raise NotDefinedError(f"no rank correlation any more: {found.reason}")
    return Measured(value=found.value, low=found.low, high=found.high, n=found.num_runs)


def _is_score(metric: str) -> bool:
    return metric.startswith(("generation.", "generation["))


def _scales(ground: Ground) -> dict[str, str]:
    """Family of metrics -> name of its guidance scale; the first is the headline's."""
    from workbench.sample.held_out import scale_name

    names = [scale_name(s) for s in ground.study.config.base.sampling.guidance_scales]
    return {"generation" if i == 0 else f"generation[{name}]": name for i, name in enumerate(names)}


def _split(ground: Ground, metric: str) -> tuple[str, str, str]:
    """Family, scale and name of a generation score."""
    for family, scale in _scales(ground).items():
        if metric.startswith(f"{family}."):
            return family, scale, metric.removeprefix(f"{family}.")
    raise NotDefinedError(f"no score {metric!r} any more")


def _of_scores(ground: Ground, arm: str, metric: str) -> Measured:
    from workbench.report.arm_metrics import arm_generation

    family, scale, name = _split(ground, metric)
    found = ground.once(
        ("arm", arm, family),
        lambda: arm_generation(ground.scores(arm, scale), ground.study, family),
    )
    if metric not in found:
        raise NotDefinedError(f"no score {metric!r} any more")
    own = found[metric]
    return Measured(
        value=own["mean"], low=own["low"], high=own["high"], n=own["n"],
        recomputed=not name.startswith(OF_ALL_TEXTS),
    )  # fmt: skip


def _score_contrast(ground: Ground, a: str, b: str, metric: str) -> Measured:
    from workbench.report.contrasts import text_contrast

    _, scale, name = _split(ground, metric)
    first, second = (ground.scores(arm, scale) for arm in (a, b))
    if name not in first[0].per_text or name not in second[0].per_text:
        raise NotDefinedError(f"no score {metric!r} any more")
    found = text_contrast(first, second, ground.study, name)
    return Measured(value=found.difference, low=found.low, high=found.high, n=found.n)


def _stored_contrast(ground: Ground, a: str, b: str, metric: str) -> Measured:
    from workbench.store.json_files import read_json

    stored = read_json(ground.study.directory / "comparison.json")["contrasts"]
    for row in stored:
        if (row["a"], row["b"], row["metric"]) == (a, b, metric):
            return Measured(
                value=row["difference"], low=row["low"], high=row["high"], n=row["n"],
                recomputed=False,
            )  # fmt: skip
    raise NotDefinedError(f"no contrast {a} - {b} of {metric!r} any more")


def _of_probe(ground: Ground, arm: str, metric: str) -> Measured:
    """A probe's metric over the seeds of an arm."""
    from workbench.report.arm_metrics import over_seeds

    runs = [ground.run(arm, seed) for seed in ground.study.config.seeds]
    found = [_results(ground, run, metric) for run in runs]
    joined = over_seeds([result for result, _ in found])
    chance = found[0][0].get("chance")
    return Measured(
        value=joined["mean"], low=joined["low"], high=joined["high"], n=joined["n"],
        chance=chance, recomputed=all(recomputed for _, recomputed in found),
    )  # fmt: skip


def _results(ground: Ground, run: Run, name: str) -> tuple[dict[str, Any], bool]:
    """A result, by its own name or its metric's, and whether it was recomputed.

    Probes that are not part of every study take minutes, so their stored results are read.
    """
    from workbench.probes.catalogue import PROBES, probe_of
    from workbench.report.arm_metrics import metric_name
    from workbench.store.json_files import read_json

    probe = probe_of(metric_name(name))
    owner = next((known for known, entry in PROBES.items() if entry is probe), None)
    if owner is None:
        raise NotDefinedError(f"no probe has a result {name!r}")
    # An adapter never runs here: what it decoded is read as stored.
    quick = PROBES[owner].cost == "quick" and not (PROBES[owner].decodes and run.imported)
    file = run.probes_dir / f"{owner}.json"
    if not quick and not file.is_file():
        raise NotDefinedError(f"{owner} is not measured any more")
    known = ground.probed(run, owner) if quick else read_json(file)["results"]
    for own, result in known.items():
        if name in (own, metric_name(own)):
            return result, quick
    raise NotDefinedError(f"the probe {owner} has no result {name!r} any more")


def _as_measured(result: Mapping[str, Any], recomputed: bool) -> Measured:
    return Measured(
        value=result["score"], low=result.get("low"), high=result.get("high"),
        n=result.get("n"), chance=result.get("chance"), recomputed=recomputed,
    )  # fmt: skip


def _ends(measured: Measured) -> dict[str, Any]:
    return {"low": measured.low, "high": measured.high, "n": measured.n}
