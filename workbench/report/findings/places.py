"""Numbers about places in a space, recomputed: maps, displacement, neighbours, playback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.report.findings.ground import Ground, Measured, NotDefinedError

if TYPE_CHECKING:
    from workbench.probes.spaces import Company, Items
    from workbench.sample.playback import Following


def trust(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """Trustworthiness of a space's map."""
    drawn = ground.maps(source["arms"], source["seed"], source["level"], source["method"])
    if source["space"] not in drawn.faithfulness:
        raise NotDefinedError(f"no space {source['space']!r} any more")
    found = drawn.faithfulness[source["space"]]
    return Measured(value=found.score)


def displaced(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """How far one item moved relative to its neighbours, from the first arm to the last."""
    from analyses.spaces.displacement import displacement

    arms, seed, level = tuple(source["arms"]), source["seed"], source["level"]
    items = ground.items(arms, seed, level)
    _check_row(items, source["row"])
    found = ground.once(
        ("displacement", arms, seed, level),
        lambda: displacement(items.spaces[arms[0]], items.spaces[arms[-1]]),
    )
    moved = found.per_item.get("displacement")
    return Measured(value=None if moved is None else float(moved[source["row"]]), chance=0.5)


def neighbour(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """Row or distance of the neighbour of one rank, found exactly in the space itself."""
    company = _company(ground, source)
    rank = source["rank"] - 1
    if not 0 <= rank < len(company.rows):
        raise NotDefinedError(f"no neighbour of rank {source['rank']}")
    if source["what"] == "row":
        return Measured(value=float(company.rows[rank]))
    return Measured(value=company.distances[rank])


def playback(ground: Ground, source: Mapping[str, Any]) -> Measured:
    """A number measured on one prompt followed through one arm."""
    from models.samplers import SAMPLERS
    from workbench.sample.playback import PlaybackView

    if source["sampler"] not in SAMPLERS:
        raise NotDefinedError(f"no sampler {source['sampler']!r}")
    if not source["typed"] and not 0 <= source["row"] < len(ground.references.prompts):
        raise NotDefinedError(f"no prompt {source['row'] + 1} any more")
    view = PlaybackView(
        row=-1 if source["typed"] else source["row"],
        typed=source["typed"],
        sampler=source["sampler"],
        num_steps=source["num_steps"],
        guidance_scale=float(source["guidance_scale"]),
        seed=source["noise"],
    )
    followed = ground.followed(ground.run(source["arm"], source["seed"]), view)
    readings = playback_readings(followed)
    if source["what"] not in readings:
        raise NotDefinedError(f"no reading {source['what']!r}; there are {', '.join(readings)}")
    return Measured(value=readings[source["what"]], n=int(followed.is_text[-1].sum()))


def playback_readings(followed: Following) -> dict[str, float | None]:
    """Numbers of one playback by name: when words settle, and the end of each curve."""
    settled = followed.settled
    readings: dict[str, float | None] = {
        "settled (share of the way)": None
        if np.isnan(settled).all()
        else float(np.nanmean(settled)),
    }
    for name, curve in followed.curves.items():
        last = float(curve[-1])
        readings[name] = last if np.isfinite(last) else None
    return readings


def _company(ground: Ground, source: Mapping[str, Any]) -> Company:
    from workbench.probes.spaces import nearest_items

    arms, seed, space = tuple(source["arms"]), source["seed"], source["space"]
    items = ground.items(arms, seed, source["level"])
    typed, own = source["typed"], None if source["typed"] else source["row"]
    if own is not None:
        _check_row(items, own)
    points = ground.typed_points(arms, seed, typed) if typed else items.spaces
    if space not in points or space not in items.spaces:
        raise NotDefinedError(f"no space {space!r} any more")
    query = points[space] if own is None else points[space][own]
    count, other_words = source["count"], source["other_words"] and own is not None
    return ground.once(
        ("company", arms, seed, source["level"], space, typed, own, count, other_words),
        lambda: nearest_items(items, space, query, count, own=own, other_words=other_words),
    )


def _check_row(items: Items, row: int) -> None:
    if not 0 <= row < len(items.names):
        raise NotDefinedError(f"no item {row} any more, there are {len(items.names)}")
