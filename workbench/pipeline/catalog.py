"""Generators, probes and presets by name; command line, pages and tests are built from these."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from models.generators.families import FAMILIES

TEXTLDM = "latent flow matching: an arm's DiT in its VAE's latent space, decoded at once"


def _generators() -> list[dict[str, str]]:
    from models.samplers import SAMPLERS

    rows = [{"name": "textldm", "kind": "every arm", "tasks": "continuation", "what": TEXTLDM}]
    for name, family in FAMILIES.items():
        tasks = ", ".join(family.tasks())
        rows.append({"name": name, "kind": "family", "tasks": tasks, "what": family.what})
    for name, sampler in SAMPLERS.items():
        rows.append({"name": name, "kind": "sampler", "tasks": "", "what": _first_line(sampler)})
    return rows


def _probes() -> list[dict[str, str]]:
    from workbench.probes.catalogue import PROBES

    return [
        {
            "name": name,
            "cost": probe.cost,
            "needs": ", ".join(probe.needs),
            "looks at": probe.looks_at,
            "what": probe.question,
        }
        for name, probe in PROBES.items()
    ]


def _presets() -> list[dict[str, str]]:
    from workbench.config.presets import PRESETS

    return [{"name": name, "what": _first_line(build)} for name, build in PRESETS.items()]


CATALOGUES: Mapping[str, Callable[[], list[dict[str, str]]]] = {
    "generators": _generators,
    "probes": _probes,
    "presets": _presets,
}


def describe(catalogue: str) -> list[dict[str, str]]:
    """Rows of a catalogue: `generators`, `probes` or `presets`."""
    return CATALOGUES[catalogue]()


def _first_line(function: Callable[..., object]) -> str:
    return (function.__doc__ or "").strip().splitlines()[0]
