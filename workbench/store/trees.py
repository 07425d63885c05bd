"""Nested state split into tensors and JSON, and put together again exactly.

An optimizer's state mixes both, with int keys and tuples, which JSON does not have. Neither part
needs pickle, and floats are written with enough digits to be read back unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

TENSOR, TUPLE, ITEMS = "__tensor__", "__tuple__", "__items__"


def pack(tree: Any) -> tuple[Any, dict[str, Tensor]]:
    """Split a tree of dicts, lists, tuples, scalars and tensors.

    Returns:
        The tree as JSON values, with `{"__tensor__": name}` in place of each tensor, and name ->
        tensor, where a name is the path to it: `state.0.exp_avg`.

    Raises:
        TypeError: A leaf that is neither a tensor nor a JSON scalar, with its path.
    """
    tensors: dict[str, Tensor] = {}
    return _pack(tree, "", tensors), tensors


def unpack(packed: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo `pack`."""
    if isinstance(packed, list):
        return [unpack(item, tensors) for item in packed]
    if not isinstance(packed, dict):
        return packed
    if TENSOR in packed:
        return tensors[packed[TENSOR]]
    if TUPLE in packed:
        return tuple(unpack(item, tensors) for item in packed[TUPLE])
    if ITEMS in packed:
        return {key: unpack(item, tensors) for key, item in packed[ITEMS]}
    return {key: unpack(item, tensors) for key, item in packed.items()}


def _pack(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        tensors[path] = value
        return {TENSOR: path}
    if isinstance(value, dict):
        items = {key: _pack(item, _below(path, key), tensors) for key, item in value.items()}
        plain = all(isinstance(key, str) for key in items) and not {TENSOR, TUPLE, ITEMS} & set(
            items
        )
        return items if plain else {ITEMS: [[key, item] for key, item in items.items()]}
    if isinstance(value, (list, tuple)):
        packed = [
            _pack(item, _below(path, position), tensors) for position, item in enumerate(value)
        ]
        return {TUPLE: packed} if isinstance(value, tuple) else packed
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{path}: a {type(value).__name__} cannot be stored, only tensors and JSON")


def _below(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
