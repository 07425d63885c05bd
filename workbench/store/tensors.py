"""Named tensors in safetensors files: tied ones are separated, non-finite ones are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import DamagedArtefactError, NumericalError

if TYPE_CHECKING:
    from torch import Tensor


def detached(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same values on the CPU, contiguous, each with its own memory.

    Tied weights share memory in a model; they are written under each of their names, so that a
    loaded mapping has every key. Tensors already in this form are not copied.
    """
    seen: set[int] = set()
    result = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage().data_ptr()
        if storage in seen:
            tensor = tensor.clone()
        seen.add(tensor.untyped_storage().data_ptr())
        result[name] = tensor
    return result


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As `detached`, and sharing no memory with `tensors`, which may change afterwards."""
    given = {tensor.untyped_storage().data_ptr() for tensor in tensors.values()}
    return {
        name: tensor.clone() if tensor.untyped_storage().data_ptr() in given else tensor
        for name, tensor in detached(tensors).items()
    }


def refuse_non_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Refuse NaN and infinity.

    A sum is finite only if every value is, and costs a fraction of looking at each. Large values
    may overflow it, so a sum that is not finite is followed by a look at each.

    Raises:
        NumericalError: With the name of the first such tensor and how many values are not finite.
    """
    import torch

    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or torch.isfinite(tensor.sum()):
            continue
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise NumericalError(
                f"{where}: {name} holds {bad} values that are not finite, so it is not saved; "
                "the last checkpoint is as it was"
            )


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file; it is durable once the caller has synced it."""
    from safetensors.torch import save_file

    save_file(detached(tensors), path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file onto the CPU.

    Raises:
        DamagedArtefactError: It is missing or not a safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise DamagedArtefactError(f"{path}: not readable as safetensors ({error})") from error


def count_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes that the values take on disk."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
