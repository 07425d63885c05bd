"""What several settings share: checks, and fields that came later than fingerprints of them."""

from __future__ import annotations

from dataclasses import field
from typing import Any, get_args

BEFORE = "before"  # in a field's metadata: the value that stood for it before it existed


def added(default: Any, *, before: Any) -> Any:
    """A field that older fingerprints do not know: at the value `before` they stay as they were.

    Args:
        default: of settings made now.
        before: how the code behaved before there was a choice.
    """
    return field(default=default, metadata={BEFORE: before})


def check_heads(width: int, heads: int, mlp_ratio: float) -> None:
    """Refuse a width that does not split into heads of even size (rotary pairs).

    Raises:
        ValueError: naming the fields.
    """
    if heads < 1 or width < 1 or width % (2 * heads):
        raise ValueError(f"width must be a multiple of 2 * heads, got {width} and heads {heads}")
    if not 1 <= width * mlp_ratio < float("inf"):
        raise ValueError(f"mlp_ratio must be > 0 and finite, got {mlp_ratio}")


def check_choice(name: str, value: str, choices: Any) -> None:
    """Refuse a `value` of the field `name` that is not in `choices`, a Literal type or names.

    Raises:
        ValueError: listing the choices.
    """
    known = get_args(choices) or tuple(choices)
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
