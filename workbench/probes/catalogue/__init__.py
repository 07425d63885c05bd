"""Every probe by name: its question, its cost, and how it takes its inputs from a run.

The command line, the pages and the tests are built from this table. `Probe.metrics` names a probe's
numbers in the comparison and the scorecard.
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench.probes.catalogue.decoder import DECODER
from workbench.probes.catalogue.entry import Probe
from workbench.probes.catalogue.geometry import GEOMETRY
from workbench.probes.catalogue.learnable import LEARNABLE
from workbench.probes.catalogue.maps import MAPS
from workbench.probes.catalogue.misses import MISSES
from workbench.probes.catalogue.neighborhoods import NEIGHBORHOODS
from workbench.probes.catalogue.paths import PATHS
from workbench.probes.catalogue.separability import SEPARABILITY
from workbench.probes.catalogue.sequence import SEQUENCE

PROBES: Mapping[str, Probe] = {
    **GEOMETRY,
    **NEIGHBORHOODS,
    **SEPARABILITY,
    **DECODER,
    **SEQUENCE,
    **LEARNABLE,
    **PATHS,
    **MISSES,
    **MAPS,
}
SELECTIONS = ("quick", "all")


def probe_names(selection: str) -> list[str]:
    """Names of the `quick` probes, or of `all` probes except those that run only on request.

    Raises:
        ValueError: the selection is neither of these.
    """
    if selection not in SELECTIONS:
        raise ValueError(f"probes must be one of {', '.join(SELECTIONS)}, got {selection!r}")
    costs = ("quick",) if selection == "quick" else ("quick", "full")
    return [name for name, probe in PROBES.items() if probe.cost in costs]


def probe_of(metric: str) -> Probe | None:
    """The probe that a number in a comparison comes from; None if it comes from no probe."""
    owners = [probe for probe in PROBES.values() if _owns(probe, metric)]
    return max(owners, key=lambda probe: len(probe.metrics), default=None)


def _owns(probe: Probe, metric: str) -> bool:
    return metric == probe.metrics or metric.startswith(f"{probe.metrics}.")
