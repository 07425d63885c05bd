"""Every benchmark by name, with the thread counts it is measured at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.caches import cached_latents, teacher_states
from benchmarks.checkpoint_saves import durable_saves
from benchmarks.growth import growth
from benchmarks.guided_sampling import guidance
from benchmarks.linear_probe import linear_probe
from benchmarks.measuring import Growth, Row, Setting
from benchmarks.neighbors_exact import exact_neighbors
from benchmarks.startup import command_line
from benchmarks.text_features import mauve
from benchmarks.training_steps import dit_step, vae_step
from benchmarks.vocabulary_head import vocabulary_head


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A function that yields its measurements, and the thread counts worth measuring."""

    function: Callable[[Setting], Iterator[Row | Growth]]
    threads: tuple[int, ...] = (1,)


BENCHMARKS: Mapping[str, Benchmark] = {
    "vae_step": Benchmark(vae_step, (1, 2)),
    "dit_step": Benchmark(dit_step, (1, 2)),
    "vocabulary_head": Benchmark(vocabulary_head, (1, 2)),
    "teacher_states": Benchmark(teacher_states),
    "cached_latents": Benchmark(cached_latents),
    "guidance": Benchmark(guidance, (1, 2)),
    "exact_neighbors": Benchmark(exact_neighbors, (1, 2)),
    "linear_probe": Benchmark(linear_probe),
    "mauve": Benchmark(mauve),
    "durable_saves": Benchmark(durable_saves),
    "command_line": Benchmark(command_line),
    "growth": Benchmark(growth),
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
