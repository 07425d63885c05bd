"""Every benchmark by name, with the thread counts it is measured at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.app_pages import app_pages
from benchmarks.caches import cached_latents, teacher_states
from benchmarks.checkpoint_saves import durable_saves
from benchmarks.comparing import growth_of_arms
from benchmarks.growth import growth_of_length, growth_of_points, growth_of_rows, growth_of_texts
from benchmarks.guided_sampling import guidance
from benchmarks.linear_probe import linear_probe
from benchmarks.measuring import Growth, NotRun, Row, Setting
from benchmarks.neighbors_exact import exact_neighbors
from benchmarks.on_gpus import on_gpus
from benchmarks.ranks import two_processes
from benchmarks.sampling_quality import equal_quality
from benchmarks.startup import command_line
from benchmarks.text_features import mauve
from benchmarks.training_steps import compiled_peers, dit_step, vae_step
from benchmarks.umap_maps import umap_map
from benchmarks.vocabulary_head import vocabulary_head
from benchmarks.writing import writing


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A function that yields its measurements.

    Attributes:
        function: see there.
        threads: the thread counts worth measuring.
        prepared: whether it reads the study of `workload`.
    """

    function: Callable[[Setting], Iterator[Row | NotRun | Growth]]
    threads: tuple[int, ...] = (1,)
    prepared: bool = True


BENCHMARKS: Mapping[str, Benchmark] = {
    "vae_step": Benchmark(vae_step, (1, 2)),
    "dit_step": Benchmark(dit_step, (1, 2)),
    "two_processes": Benchmark(two_processes),
    "on_gpus": Benchmark(on_gpus),
    "vocabulary_head": Benchmark(vocabulary_head, (1, 2)),
    "teacher_states": Benchmark(teacher_states),
    "cached_latents": Benchmark(cached_latents),
    "guidance": Benchmark(guidance, (1, 2)),
    "equal_quality": Benchmark(equal_quality),
    "writing": Benchmark(writing),
    "exact_neighbors": Benchmark(exact_neighbors, (1, 2)),
    "linear_probe": Benchmark(linear_probe),
    "umap_map": Benchmark(umap_map),
    "mauve": Benchmark(mauve),
    "durable_saves": Benchmark(durable_saves),
    "command_line": Benchmark(command_line),
    "app_pages": Benchmark(app_pages),
    "growth_of_length": Benchmark(growth_of_length, prepared=False),
    "growth_of_rows": Benchmark(growth_of_rows, prepared=False),
    "growth_of_points": Benchmark(growth_of_points, prepared=False),
    "growth_of_texts": Benchmark(growth_of_texts, prepared=False),
    "growth_of_arms": Benchmark(growth_of_arms, prepared=False),
    "compiled_peers": Benchmark(compiled_peers),
}


def chosen(names: str) -> list[str]:
    """Benchmarks named in a comma-separated list; all if it is empty.

    Raises:
        ValueError: a name is unknown.
    """
    wanted = [name for name in names.split(",") if name] or list(BENCHMARKS)
    for name in wanted:
        if name not in BENCHMARKS:
            raise ValueError(f"no benchmark {name!r}; choose from {', '.join(BENCHMARKS)}")
    return wanted
