"""Settings: strict construction, overrides, fingerprints and differences."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from models.configs.checks import added
from models.configs.language_model import CausalLMConfig
from workbench.config import settings
from workbench.config.sampling import SamplingConfig
from workbench.errors import InputError
from workbench.machine.context import stage_fingerprint


class Mood(enum.Enum):
    CALM = "calm"
    TENSE = "tense"


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    beta: float = 1e-3
    stop_step: int | None = None

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise ValueError(f"beta must be >= 0, got {self.beta}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    width: int = 128
    site: Literal["latent", "trunk"] = "latent"
    loss: Loss = field(default_factory=Loss)


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear:
    bias: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Mlp:
    hidden: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One field of every type that settings may have."""

    name: str = "demo"
    model: Model = field(default_factory=Model)
    layers: tuple[int, ...] = (1, 2)
    interval: tuple[float, float] = (0.0, 1.0)
    arms: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    path: Path | None = None
    mood: Mood = Mood.CALM
    shuffle: bool = True
    level: int | float | str = 1
    projector: Linear | Mlp = field(default_factory=Linear)


FULL = Run(
    name="real",
    model=Model(width=64, site="trunk", loss=Loss(beta=0.5, stop_step=7)),
    layers=(3,),
    interval=(0.25, 0.75),
    arms={"none": {}, "repa": {"model.loss.beta": 1, "list": [1, {"a": None}]}},
    columns=["food", "area"],
    path=Path("corpora/e2e.csv"),
    mood=Mood.TENSE,
    shuffle=False,
    level="high",
    projector=Mlp(hidden=3),
)


def test_the_defaults_need_nothing():
    assert settings.build(Run, {}) == Run()


def test_every_type_round_trips():
    plain = settings.to_dict(FULL)
    assert settings.build(Run, plain) == FULL
    assert settings.to_dict(settings.build(Run, plain)) == plain


def test_given_values_are_not_changed():
    mapping = {"model": {"width": 3}, "arms": {"a": {"b": [1]}}}
    settings.build(Run, mapping)
    settings.apply_overrides(mapping, ["model.width=5", "arms.a.c=1"])
    assert mapping == {"model": {"width": 3}, "arms": {"a": {"b": [1]}}}


def test_only_int_to_float_and_list_to_tuple_are_converted():
    run = settings.build(Run, {"model": {"loss": {"beta": 1}}, "layers": [4], "interval": [0, 1]})
    assert isinstance(run.model.loss.beta, float)
    assert run.layers == (4,)
    assert [type(end) for end in run.interval] == [float, float]
    assert type(settings.build(Run, {"level": 2}).level) is int
    assert type(settings.build(Run, {"level": 2.0}).level) is float


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"modle": {}}, "modle: unknown key, did you mean 'model'?"),
        ({"model": {"widht": 3}}, "model.widht: unknown key, did you mean 'width'?"),
        ({"model": {"zzz": 3}}, "model.zzz: unknown key, known: width, site, loss"),
        ({"a\nb": 1}, "'a\\nb': unknown key"),
        ({"model": {"width": "3"}}, "model.width: must be a whole number, got '3' (str)"),
        ({"model": {"width": 3.0}}, "model.width: must be a whole number, got 3.0 (float)"),
        ({"model": {"width": True}}, "model.width: must be a whole number, got True (bool)"),
        ({"model": {"width": None}}, "model.width: must be a whole number, got null"),
        (
            {"model": {"site": "Trunk"}},
            "model.site: must be 'latent' or 'trunk', got 'Trunk'",
        ),
        ({"model": 3}, "model: must be a mapping, got 3 (int)"),
        ({"model": {"loss": {"beta": float("nan")}}}, "model.loss.beta: must be finite, got nan"),
        (
            {"model": {"loss": {"beta": 10**400}}},
            "model.loss.beta: must be a finite number",
        ),
        ({"model": {"loss": {"beta": -1}}}, "model.loss: beta must be >= 0, got -1.0"),
        ({"model": {"loss": {"stop_step": 1.5}}}, "model.loss.stop_step: must be a whole number"),
        ({"arms": {"repa": {"deep": [1, float("inf")]}}}, "arms.repa.deep[1]: must be finite"),
        ({"arms": {3: {}}}, "arms: keys must be text, got 3"),
        ({"arms": {"repa": 3}}, "arms.repa: must be a mapping, got 3 (int)"),
        ({"layers": "12"}, "layers: must be a list, got '12' (str)"),
        ({"layers": [1, "2"]}, "layers[1]: must be a whole number, got '2' (str)"),
        ({"interval": [1]}, "interval[1]: is missing and has no default"),
        ({"interval": [1, 2, 3]}, "interval: must be a list of at most 2 items, got [1, 2, 3]"),
        ({"columns": [None]}, "columns[0]: must be text (quote it), got null"),
        ({"name": False}, "name: must be text (quote it), got False (bool)"),
        ({"shuffle": 1}, "shuffle: must be true or false, got 1 (int)"),
        ({"mood": "angry"}, "mood: must be 'calm' or 'tense', got 'angry' (str)"),
        ({"path": 3}, "path: must be text (quote it), got 3 (int)"),
        ({"level": []}, "level: must be int or float or str, got [] (list)"),
        ({"projector": {"hiden": 3}}, "projector: must be Linear or Mlp, got {'hiden': 3} (dict)"),
        ({"name": "a\ud800"}, "Run: cannot be JSON ('utf-8' codec can't encode"),
        ({"model": {"width": 10**5000}}, "Run: cannot be JSON (Exceeds the limit"),
        ({"name": ["x" * 500]}, "name: must be text (quote it), got ['xxx"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(mapping, message):
    with pytest.raises(InputError) as caught:
        settings.build(Run, mapping)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert caught.value.exit_code == 2


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match=r"^study\.yaml\.hidden: is missing and has no default"):
        settings.build(Mlp, {}, "study.yaml")
    with pytest.raises(InputError, match=r"^must be a mapping|^Mlp: must be a mapping, got null"):
        settings.build(Mlp, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Nested:
    model: Model | None = None
    parts: tuple[Model, ...] = ()


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"model": {"widht": 1}}, "model.widht: unknown key, did you mean 'width'?"),
        ({"parts": [{}, {"widht": 1}]}, "parts[1].widht: unknown key, did you mean 'width'?"),
        ({"parts": [{"loss": {"bta": 1}}]}, "parts[0].loss.bta: unknown key, did you mean 'beta'?"),
    ],
)
def test_keys_are_known_inside_optional_and_repeated_parts(mapping, message):
    with pytest.raises(InputError) as caught:
        settings.build(Nested, mapping)
    assert str(caught.value) == message


def test_a_field_without_a_plain_form_has_no_fingerprint():
    @dataclass(frozen=True)
    class Odd:
        values: frozenset[int]

    with pytest.raises(InputError, match=r"^values: frozenset has no plain form"):
        settings.fingerprint(Odd(frozenset({1})))


def built_or_refused(action: Callable[[], Any]) -> tuple[Any, str | None]:
    """What `action` makes, or the message of its `InputError`; any other error is a failure."""
    try:
        return action(), None
    except InputError as error:
        return None, str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*Run.__dataclass_fields__, "width", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@hypothesis_settings(max_examples=200, deadline=None)
@given(mapping=st.dictionaries(st.sampled_from([*Run.__dataclass_fields__, "x"]), JSON, max_size=4))
@example(mapping={"arms": {"a": {"b": float("nan")}}})
@example(mapping={"model": {"loss": {"beta": -1}}})
@example(mapping={"model": {"loss": {"beta": 10**400}}})
@example(mapping={"model": {"site": "a\nb"}})
def test_any_nonsense_is_built_or_refused_in_one_line(mapping):
    run, refusal = built_or_refused(lambda: settings.build(Run, mapping))
    if refusal is not None:
        assert "\n" not in refusal
        return
    assert settings.build(Run, settings.to_dict(run)) == run
    assert len(settings.fingerprint(run)) == 12


def test_overrides_are_read_as_yaml():
    result = settings.apply_overrides(
        {"model": {"width": 3, "site": "trunk"}, "path": None},
        [
            "model.width=64",
            "model.loss.beta=1e-3",
            "layers=[1, 2]",
            "path.x=a=b",
            "name=",
            " a = 1",
        ],
    )
    assert result == {
        "model": {"width": 64, "site": "trunk", "loss": {"beta": 1e-3}},
        "path": {"x": "a=b"},
        "layers": [1, 2],
        "name": None,
        "a": 1,
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["width"], "--set width: must read KEY=VALUE"),
        (["=3"], "must read KEY=VALUE"),
        (["a..b=3"], "must read KEY=VALUE"),
        (["name.x=3"], "--set name.x: name is a value and has no keys below it"),
        (["a=1", "a=2"], "--set a=2: a is set twice"),
        (["a=[1"], "--set a:1: "),
    ],
)
def test_bad_overrides_are_refused(overrides, message):
    with pytest.raises(InputError) as caught:
        settings.apply_overrides({"name": "x"}, overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_fingerprint_names_the_content():
    name = settings.fingerprint(FULL)
    assert len(name) == 12
    assert int(name, 16) >= 0
    assert name == settings.fingerprint(settings.build(Run, settings.to_dict(FULL)))
    assert name == "75d34c48c303"
    assert name != settings.fingerprint(replace(FULL, layers=(3, 4)))
    assert settings.fingerprint({"a": 1, "b": 2}) == settings.fingerprint({"b": 2, "a": 1})
    assert settings.fingerprint(Loss(beta=1)) == settings.fingerprint(Loss(beta=1.0))
    for value in ({"a": float("nan")}, {"a": {1, 2}}, {1: "a"}):
        with pytest.raises(InputError):
            settings.fingerprint(value)


def test_differences_are_a_table_of_dotted_keys():
    other = replace(
        FULL, model=Model(width=32, site="trunk"), arms={"none": {}}, projector=Linear()
    )
    found = settings.differences(FULL, other)
    assert [(row.key, row.left, row.right) for row in found] == [
        ("arms.repa.list", '[1, {"a": null}]', "(absent)"),
        ("arms.repa.model.loss.beta", "1", "(absent)"),
        ("model.loss.beta", "0.5", "0.001"),
        ("model.loss.stop_step", "7", "null"),
        ("model.width", "64", "32"),
        ("projector.bias", "(absent)", "true"),
        ("projector.hidden", "3", "(absent)"),
    ]
    table = settings.format_differences(found).splitlines()
    assert table[0].split() == ["key", "stored", "given"]
    assert len({line.index(row.left) for line, row in zip(table[1:], found, strict=True)}) == 1
    assert settings.differences(FULL, FULL) == ()
    assert settings.differences(Run(), replace(Run(), arms={"a": {}}))[0].key == "arms.a"


def test_a_later_setting_leaves_names_alone_until_it_is_used():
    @dataclass(frozen=True, kw_only=True)
    class Later(Loss):
        std: float = added(0.02, before=1.0)

    assert settings.fingerprint(Later(std=1.0)) == settings.fingerprint(Loss())
    assert settings.fingerprint(Later()) != settings.fingerprint(Loss())
    assert settings.to_dict(Later(std=1.0)) == {"beta": 1e-3, "stop_step": None, "std": 1.0}
    assert settings.build(Later, {}) == Later(std=0.02)


def test_what_the_first_release_made_keeps_its_name():
    assert stage_fingerprint(CausalLMConfig(init_std=1.0)) == "a14df00682a0"
    assert stage_fingerprint(SamplingConfig()) == "8c1d042bd69a"
