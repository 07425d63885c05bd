"""What this machine has and lacks for the workbench; no model is loaded to find out."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.store.paths import VARIABLE, check_writable, runs_directory

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "huggingface-hub",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "scikit-learn",
    "threadpoolctl",
    "umap-learn",
    "faiss-cpu",
    "mauve-text",
    "rouge-score",
    "sacrebleu",
    "plotly",
    "pydantic",
    "streamlit",
    "pydantic",
    "tyro",
    "rich",
    "PyYAML",
    "tensorboard",
)
OPTIONAL_PACKAGES = ("datasets", "bert-score", "wandb", "trackio", "submitit")
DEMO_MEMORY_GB, DEMO_DISK_GB = 3.0, 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """One CUDA device: name, memory in GB, and whether it computes in bfloat16."""

    name: str
    memory_gb: float
    bf16: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineReport:
    """What was found.

    Attributes:
        python: Version.
        system: Operating system and processor architecture.
        cores: Logical cores this process may run on.
        threads: Threads torch computes with; 0 without torch.
        cpu_bf16: Whether bfloat16 is faster than float32 on this processor.
        gpus: CUDA devices.
        memory_gb: Main memory this process may use, available now.
        disk_gb: Free on the disk of the runs directory.
        packages: Name -> version, None where missing; required ones first.
        teacher: Directory of the embedded teacher, None if missing.
        hub_cache: Cache of the Hugging Face hub.
        hub_models: Models in that cache, usable without a network.
        runs: Runs directory.
        lacks: What is missing and what to do about it, one line each; empty if nothing is.
    """

    python: str
    system: str
    cores: int
    threads: int
    cpu_bf16: bool
    gpus: tuple[Gpu, ...]
    memory_gb: float
    disk_gb: float
    packages: Mapping[str, str | None]
    teacher: Path | None
    hub_cache: Path
    hub_models: tuple[str, ...]
    runs: Path
    lacks: tuple[str, ...]


def examine() -> MachineReport:
    """Examine this machine by importing torch and writing a test file; takes a second or two."""
    lacks: list[str] = []
    packages = {name: _version(name) for name in (*PACKAGES, *OPTIONAL_PACKAGES)}
    missing = [name for name in PACKAGES if packages[name] is None]
    if missing:
        lacks.append(
            f"packages: {', '.join(missing)} not installed; pip install -r requirements.txt"
        )
    runs = _runs(lacks)
    memory_gb, disk_gb = available_memory_gb(), _free_gb(runs)
    if memory_gb < DEMO_MEMORY_GB:
        lacks.append(f"memory: {memory_gb:.1f} GB available, the demo needs {DEMO_MEMORY_GB} GB")
    if disk_gb < DEMO_DISK_GB:
        lacks.append(
            f"disk: {disk_gb:.1f} GB free, the demo needs {DEMO_DISK_GB} GB; set {VARIABLE} to a "
            "directory on another disk"
        )
    threads, cpu_bf16, gpus = _compute(lacks)
    teacher = _teacher(lacks)
    cache = _hub_cache()
    return MachineReport(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=_cores(),
        threads=threads,
        cpu_bf16=cpu_bf16,
        gpus=gpus,
        memory_gb=memory_gb,
        disk_gb=disk_gb,
        packages=packages,
        teacher=teacher,
        hub_cache=cache,
        hub_models=_hub_models(cache),
        runs=runs,
        lacks=tuple(lacks),
    )


def available_memory_gb(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Main memory available now, in GB, within the limit of a container if there is one."""
    available = _meminfo(proc / "meminfo")
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return available
    return min(available, (limit - used) / 1e9)


def _meminfo(path: Path) -> float:
    try:
        lines = path.read_text().splitlines()
    except OSError:  # not Linux: what is installed is the best that is known
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    sizes = {
        name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)
    }
    return sizes.get("MemAvailable", sizes.get("MemFree", 0)) * 1024 / 1e9


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _runs(lacks: list[str]) -> Path:
    """Runs directory, after a test file was written there and removed."""
    try:
        directory = runs_directory()
        check_writable(directory)
    except WorkbenchError as error:
        lacks.append(f"runs: {error}")
        return Path(os.environ.get(VARIABLE) or "runs").expanduser().absolute()
    return directory


def _free_gb(directory: Path) -> float:
    existing = next(p for p in (directory, *directory.parents) if p.is_dir())
    return shutil.disk_usage(existing).free / 1e9


def _cores() -> int:
    counted: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(counted(0)) if counted else os.cpu_count() or 1


def _compute(lacks: list[str]) -> tuple[int, bool, tuple[Gpu, ...]]:
    """Threads of torch, bfloat16 on the processor, and the GPUs."""
    try:
        import torch

        from models.precision import has_fast_bfloat16
    except (ImportError, OSError) as error:
        lacks.append(f"torch: cannot be loaded ({error}); pip install -r requirements.txt")
        return 0, False, ()
    gpus = tuple(_gpu(index) for index in range(torch.cuda.device_count()))
    return torch.get_num_threads(), has_fast_bfloat16(torch.device("cpu")), gpus


def _gpu(index: int) -> Gpu:
    import torch

    properties = torch.cuda.get_device_properties(index)
    bf16 = properties.major >= 8  # Ampere is the first generation that computes in bfloat16
    return Gpu(name=properties.name, memory_gb=properties.total_memory / 1e9, bf16=bf16)


def _teacher(lacks: list[str]) -> Path | None:
    """Directory of the embedded teacher, if its weights are there."""
    try:
        from models.teachers.pretrained import minilm_directory

        directory = minilm_directory()
    except (ImportError, OSError, ValueError) as error:
        lacks.append(f"teacher: {error}")
        return None
    if not (directory / "model.safetensors").is_file():
        lacks.append(f"teacher: {directory} has no model.safetensors; reinstall the package")
        return None
    return directory


def _hub_cache() -> Path:
    if "huggingface_hub" in sys.modules:
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE)
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"
    )
    return Path(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")).expanduser()


def _hub_models(cache: Path) -> tuple[str, ...]:
    names = sorted(path.name for path in cache.glob("models--*") if any(path.glob("snapshots/*")))
    return tuple(name.removeprefix("models--").replace("--", "/") for name in names)
