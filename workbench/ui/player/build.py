"""From tracks to the player's page. Corpus text enters as JSON and is set as text, never HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analyses.figures.theme import SURFACES, Theme
from analyses.maps.linear_basis import LinearBasis
from workbench.ui.kit.escape import html_text

if TYPE_CHECKING:
    from workbench.sample.playback import KeptFact
    from workbench.sample.trajectories import Trajectory

FOLDER = Path(__file__).parent
DIGITS = 3
CLOUD_POINTS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """One column of the player.

    Attributes:
        title: name over it.
        subtitle: what sets it apart.
        colour: of its arm.
        track: the run; None for a generator without latents, which has no map.
        tokens: (S + 1, T) strings, what the target positions read at each moment.
        is_text: (S + 1, T) bool, False from the first end-of-text on.
        commit: (T,) int64, moment from which each token never changes again.
        far: (S + 1, P) distance to the nearest real latent, in units of that between real ones;
            None without latents. P is T where the track is aligned.
        basis: axes of the map, shared by all lanes of an arm; None without latents.
        cloud: (M, D) real latents behind the path; None without latents.
        curves: name -> (S + 1,), NaN where undefined.
        facts: expected facts of the prompt, and at which moments each is kept.
        t: (S + 1,) of a lane without a track.
        nfe: of a lane without a track.
        entropy: (S + 1, T) nats, of a lane without a track.
    """

    title: str
    subtitle: str
    colour: str
    track: Trajectory | None
    tokens: Sequence[Sequence[str]]
    is_text: np.ndarray
    commit: np.ndarray
    far: np.ndarray | None
    basis: LinearBasis | None
    cloud: np.ndarray | None
    curves: Mapping[str, np.ndarray]
    facts: Sequence[KeptFact] = ()
    t: np.ndarray | None = None
    nfe: int = 0
    entropy: np.ndarray | None = None


def player_page(
    lanes: Sequence[Lane],
    *,
    prompt: str,
    reference: str,
    theme: Theme,
    title: str,
    far_limit: float,
    clock: str = "",
    note: str = "",
    standalone: bool = False,
) -> str:
    """A self-contained page: no request leaves it, nothing in it is trusted.

    Args:
        lanes: columns, left to right.
        prompt: the context.
        reference: what a human wrote next; empty if unknown.
        theme: light or dark.
        title: heading of the exported file.
        far_limit: distance beyond which a latent counts as off the manifold.
        clock: what the steps' times are, told where the clock is pointed at.
        note: under the choice of curves, such as why one is missing.
        standalone: with a heading and page margins, for a file.
    """
    data = {
        "prompt": prompt,
        "reference": reference,
        "far_limit": round(far_limit, DIGITS),
        "note": note,
        "lanes": [_lane(lane) for lane in lanes],
    }
    parts = {
        "TITLE": html_text(title),
        "CLOCK": html_text(clock),
        "COLOURS": _colours(theme),
        "STYLE": (FOLDER / "player.css").read_text(encoding="utf-8"),
        "SCRIPT": (FOLDER / "player.js").read_text(encoding="utf-8"),
        "BODY_CLASS": "standalone" if standalone else "embedded",
        "DATA": script_json(data),
    }
    page = (FOLDER / "player.html").read_text(encoding="utf-8")
    head, *rest = page.split("{{")
    return head + "".join(_filled(part, parts) for part in rest)


def _filled(part: str, parts: Mapping[str, str]) -> str:
    name, tail = part.split("}}", 1)
    return parts[name] + tail


def script_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in, nor begin a comment in it."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _colours(theme: Theme) -> str:
    surface = SURFACES[theme]
    return (
        f":root{{--paper:{surface.paper};--text:{surface.text};--grid:{surface.grid};"
        f"--muted:{surface.muted};--header:{surface.header}}}"
    )


def _lane(lane: Lane) -> dict[str, Any]:
    names = sorted({token for line in lane.tokens for token in line})
    place = {name: number for number, name in enumerate(names)}
    return {
        "title": lane.title,
        "subtitle": lane.subtitle,
        "colour": lane.colour,
        "names": names,
        "tokens": [[place[token] for token in line] for line in lane.tokens],
        "is_text": lane.is_text.astype(int).tolist(),
        "commit": lane.commit.tolist(),
        "curves": {name: _rounded(values) for name, values in lane.curves.items()},
        "facts": [[fact.value, fact.kept.astype(int).tolist()] for fact in lane.facts],
        **(_written(lane) if lane.track is None else _latents(lane, lane.track)),
    }


def _latents(lane: Lane, track: Trajectory) -> dict[str, Any]:
    """What a lane shows of its latents: distances, the map, the decoder's certainty."""
    cut, is_word = track.cut, track.aligned
    assert lane.basis is not None
    assert lane.cloud is not None
    assert lane.far is not None
    return {
        "nfe": int(track.nfe[-1]),
        "t": _rounded(track.t),
        "entropy": _rounded(track.entropy[:, cut:]),
        "margin": _rounded(track.margin[:, cut:]),
        "far": _rounded(lane.far if is_word else np.full(lane.is_text.shape, np.nan)),
        **({} if is_word else {"away": _rounded(lane.far)}),  # of dots that are no words
        "points": _rounded(lane.basis.project(track.path)),
        "cloud": _rounded(lane.basis.project(lane.cloud[:CLOUD_POINTS])),
        "explained": _rounded(lane.basis.explained),
    }


def _written(lane: Lane) -> dict[str, Any]:
    """The same of a lane without latents, where only entropy is known."""
    nothing = np.full(lane.is_text.shape, np.nan)
    assert lane.t is not None
    assert lane.entropy is not None
    return {
        "nfe": lane.nfe,
        "t": _rounded(lane.t),
        "entropy": _rounded(lane.entropy),
        "margin": _rounded(nothing),
        "far": _rounded(nothing),
        "points": [],
        "cloud": [],
        "explained": [],
    }


def _rounded(values: np.ndarray) -> Any:
    """Nested lists with few digits; None where a number is not finite."""
    rounded = np.round(np.asarray(values, np.float64), DIGITS)
    if np.isfinite(rounded).all():
        return rounded.tolist()
    if rounded.ndim > 1:
        return [_rounded(row) for row in rounded]
    return [float(value) if np.isfinite(value) else None for value in rounded]
