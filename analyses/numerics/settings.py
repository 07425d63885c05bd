"""Checks that the settings of several analyses share. Each names the field and the value."""

from __future__ import annotations

from typing import Any, get_args


def check_at_least(settings: object, least: float, *names: str) -> None:
    """Refuse settings whose fields `names` are below `least`, or NaN.

    Raises:
        ValueError: naming the field, the bound and the value.
    """
    for name in names:
        if not getattr(settings, name) >= least:
            raise ValueError(f"{name} must be >= {least}, got {getattr(settings, name)}")


def check_positive(settings: object, *names: str) -> None:
    """Refuse settings whose fields `names` are not above 0.

    Raises:
        ValueError: naming the field and the value.
    """
    for name in names:
        if not getattr(settings, name) > 0:
            raise ValueError(f"{name} must be > 0, got {getattr(settings, name)}")


def check_share(settings: object, *names: str) -> None:
    """Refuse settings whose fields `names` do not lie strictly between 0 and 1.

    Raises:
        ValueError: naming the field and the value.
    """
    for name in names:
        if not 0.0 < getattr(settings, name) < 1.0:
            raise ValueError(f"{name} must lie in (0, 1), got {getattr(settings, name)}")


def check_choice(settings: object, name: str, choices: Any) -> None:
    """Refuse a field `name` whose value is not one of `choices`, a Literal type.

    Raises:
        ValueError: listing the choices.
    """
    known, value = get_args(choices), getattr(settings, name)
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
