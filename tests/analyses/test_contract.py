"""What every public measure of `analyses` promises, and that each promise is really looked at."""

import contextlib
import copy
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from measures import ISOMETRY, MEASURES, Measure, N, cloud
from scipy.stats import ortho_group

import analyses
from analyses.figures.theme import SURFACES
from analyses.numerics.features import check_features
from analyses.result import Result, json_safe

MEASURED = {
    "Result", "PerText", "Interval", "Contrast", "Null", "OnsetContrast", "LatentMap", "Neighbors",
    "Readings", "list[ScorecardRow]", "go.Figure", "DrawnMaps",
}  # fmt: skip
MAKERS = {"undefined", "themed", "read_latents"}


def plain(result: Any) -> str:
    """Everything a measure returned, as strict JSON."""
    if isinstance(result, tuple):
        return "".join(map(plain, result))
    body = json.loads(result.to_json()) if isinstance(result, go.Figure) else json_safe(result)
    return json.dumps(body, allow_nan=False)


def repeats(measure: Measure) -> None:
    """Equal arguments give an equal answer; there is no hidden state."""
    np.random.seed(1)  # noqa: NPY002 - whoever draws from the global state is found out
    first = plain(measure.call(**measure.make()))
    np.random.seed(2)  # noqa: NPY002
    assert plain(measure.call(**measure.make())) == first


def leaves_its_arguments_alone(measure: Measure) -> None:
    given = measure.make()
    before = copy.deepcopy({k: v for k, v in given.items() if not callable(v)})
    measure.call(**given)
    for name, value in before.items():
        assert plain_argument(given[name]) == plain_argument(value), name


def plain_argument(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain_argument(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_argument(item) for item in value]
    return value.tobytes() if isinstance(value, np.ndarray) else repr(value)


def refuses_rows_that_are_not_finite(measure: Measure) -> None:
    """NaN and infinity anywhere in a row: refused, and the row's number is named."""
    for name in measure.rows:
        for bad in (np.nan, -np.inf):
            given = measure.make()
            at(given[name], 7, measure.axis)[..., -1] = bad
            with pytest.raises(ValueError, match=rf"{name}.* 1 row\(s\): 7$"):
                measure.call(**given)


def at(rows: np.ndarray, item: int, axis: int) -> np.ndarray:
    return np.moveaxis(rows, axis, 0)[item]


def needs_three_items(measure: Measure) -> None:
    """Two items are refused, or undefined with the reason."""
    given = measure.make()
    for name in (*measure.rows, *measure.beside):
        if name in given:
            given[name] = given[name][:2]
    result: Any = None
    with contextlib.suppress(ValueError):
        result = measure.call(**given)
    assert result is None or result.reason, f"two items gave {result}"


def takes_single_and_double_precision(measure: Measure) -> None:
    scores = []
    for dtype in (np.float32, np.float64):
        given = measure.make()
        given |= {name: given[name].astype(dtype) for name in measure.rows}
        scores.append(score_of(measure.call(**given)))
    assert scores[0] == pytest.approx(scores[1], rel=1e-4, abs=1e-6)


def score_of(result: Any) -> Any:
    for name in ("score", "difference", "distances"):
        if hasattr(result, name):
            return getattr(result, name)
    raise AssertionError(f"{type(result).__name__} has no headline")


def keeps_its_score_when_nothing_is_said(measure: Measure) -> None:
    """Row order, rotation, shift and scale, where the docstring claims that they do not matter."""
    rng, score = np.random.default_rng(0), score_of(measure.call(**measure.make()))
    for change in sorted(measure.same):
        given, order = measure.make(), rng.permutation(N)
        for name in (*measure.rows, *measure.beside):
            if name in given and change == "order":
                given[name] = np.take(given[name], order, axis=measure.axis)
            elif name in measure.rows:
                given[name] = CHANGES[change](given[name].astype(np.float64))
        assert score_of(measure.call(**given)) == pytest.approx(score, rel=1e-4, abs=1e-6), change


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rotation": lambda rows: rows @ ortho_group.rvs(rows.shape[-1], random_state=1),
    "shift": lambda rows: rows + 100.0,
    "scale": lambda rows: 3.0 * rows,
}


def says_what_it_does_not_know(measure: Measure) -> None:
    """Strict JSON that comes back equal, every null with its reason, the score in its interval."""
    result = measure.call(**measure.make())
    body = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert Result.from_json(body).to_json() | {"reasons": body["reasons"]} == body
    assert result.n >= 1
    assert result.score is not None
    assert result.low is None or result.low <= result.score <= result.high
    lengths = {len(column) for column in result.per_item.values()}
    assert len(lengths) <= 1


def draws_in_both_themes(measure: Measure) -> None:
    for theme, surface in SURFACES.items():
        figure = measure.call(**{**measure.make(), "theme": theme})
        assert figure.layout.paper_bgcolor == surface.paper
        json.loads(figure.to_json(), parse_constant=lambda constant: pytest.fail(constant))


CLAUSES: dict[Callable[[Measure], None], Callable[[Measure], bool]] = {
    repeats: lambda m: True,
    leaves_its_arguments_alone: lambda m: True,
    refuses_rows_that_are_not_finite: lambda m: bool(m.rows),
    needs_three_items: lambda m: bool(m.rows) and m.few,
    takes_single_and_double_precision: lambda m: bool(m.rows),
    keeps_its_score_when_nothing_is_said: lambda m: bool(m.same),
    says_what_it_does_not_know: lambda m: returns(m.call) == "Result",
    draws_in_both_themes: lambda m: returns(m.call) == "go.Figure",
}


def returns(call: Callable[..., Any]) -> str:
    return str(inspect.signature(call).return_annotation)


@pytest.mark.parametrize(
    ("clause", "measure"),
    [
        pytest.param(clause, measure, id=f"{clause.__name__}-{name}")
        for clause, concerns in CLAUSES.items()
        for name, measure in MEASURES.items()
        if concerns(measure)
    ],
)
def test_every_measure_keeps_every_clause(clause, measure):
    clause(measure)


def public_measures() -> Iterator[Callable[..., Any]]:
    for module in pkgutil.walk_packages(analyses.__path__, "analyses."):
        if module.name != "analyses.maps.umap_worker":
            functions = vars(importlib.import_module(module.name)).items()
            yield from (
                f for name, f in functions
                if inspect.isfunction(f) and f.__module__ == module.name and name[0] != "_"
                and returns(f) in MEASURED and name not in MAKERS
            )  # fmt: skip


def test_no_public_measure_is_without_a_contract():
    assert {measure.call for measure in MEASURES.values()} == set(public_measures())


def planted(**fields: Any) -> Result:
    return Result(**{"name": "planted", "score": 0.0, "n": 1, **fields})


def writes_to_its_input(features: np.ndarray) -> Result:
    features -= features.mean(axis=0)
    return planted()


random = np.random.default_rng(0)
PLANTED = [
    (repeats, lambda features: planted(score=random.random())),
    (repeats, lambda features: planted(score=np.random.random())),  # noqa: NPY002
    (leaves_its_arguments_alone, writes_to_its_input),
    (refuses_rows_that_are_not_finite, lambda features: planted()),
    (needs_three_items, lambda features: planted(n=len(features))),
    (takes_single_and_double_precision, lambda features: planted(score=features.itemsize)),
    (keeps_its_score_when_nothing_is_said, lambda features: planted(score=features[0, 0])),
    (keeps_its_score_when_nothing_is_said, lambda features: planted(score=features.std())),
    (says_what_it_does_not_know, lambda features: planted(score=2.0, low=0.0, high=1.0)),
    (says_what_it_does_not_know, lambda features: planted(detail={"model": object()})),
    (draws_in_both_themes, lambda features, theme: go.Figure(layout={"paper_bgcolor": "white"})),
]


@pytest.mark.parametrize(("clause", "call"), PLANTED)
def test_the_contract_sees_a_planted_fault(clause, call):
    faulty = Measure(call, lambda: {"features": cloud()}, ("features",), ISOMETRY | {"order"})
    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):
        clause(faulty)


def test_a_measure_that_keeps_the_contract_passes():
    def honest(features: np.ndarray) -> Result:
        return planted(n=len(check_features(features)))

    sound = Measure(honest, lambda: {"features": cloud()}, ("features",), ISOMETRY | {"order"})
    for clause in {clause for clause, _ in PLANTED} - {draws_in_both_themes}:
        clause(sound)
