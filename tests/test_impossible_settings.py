"""Every setting of every component refuses what it cannot be, naming the field and the value."""

import dataclasses
import importlib
import math
import pkgutil
import typing
from collections.abc import Iterator

import pytest

PACKAGES = ("analyses", "models", "data", "workbench.config")
# Negative layers count from the last; a child process is no module to import.
NEGATIVE = {"TeacherConfig.layer"}
SCRIPTS = {"analyses.maps.umap_worker"}


def components() -> Iterator[type]:
    for package in PACKAGES:
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            if module.name not in SCRIPTS:
                found = vars(importlib.import_module(module.name)).values()
                yield from (c for c in found if is_settings(c) and c.__module__ == module.name)


def is_settings(found: object) -> bool:
    return (
        isinstance(found, type)
        and dataclasses.is_dataclass(found)
        and found.__name__.endswith("Config")
    )


def impossible(hint: object) -> object:
    """A value of the hint's kind that no setting may have; None where kinds have no such value."""
    kinds = {hint, *typing.get_args(hint)} - {type(None)}
    if typing.get_origin(hint) in (tuple, dict):
        return None
    if any(typing.get_origin(kind) is typing.Literal for kind in kinds):
        return "nonsense"
    return -1 if int in kinds else math.nan if float in kinds else None


def settings() -> Iterator[tuple[type, str, object]]:
    for component in components():
        for name, hint in typing.get_type_hints(component).items():
            if f"{component.__name__}.{name}" not in NEGATIVE and impossible(hint) is not None:
                yield component, name, impossible(hint)


def refuses(component: type, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"(?s)\b{name}\b.*{value}"):
        component(**{name: value})


@pytest.mark.parametrize(
    ("component", "name", "value"), settings(), ids=lambda part: getattr(part, "__name__", part)
)
def test_an_impossible_value_is_refused_by_name(component, name, value):
    refuses(component, name, value)


def test_components_without_a_check_are_found():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class PlantedConfig:
        rate: float = 0.5
        kind: typing.Literal["a", "b"] = "a"

    for name, value in (("rate", math.nan), ("kind", "nonsense")):
        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            refuses(PlantedConfig, name, value)
    assert impossible(typing.get_type_hints(PlantedConfig)["rate"]) is not None
