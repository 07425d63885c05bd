"""Ratios of costs: interleaved repeats, the median of paired ratios and its bootstrap interval.

Absolute times are not reliable on shared machines. Ours and the peer take turns in one process, so
other work on the machine affects both; every repeat gives one ratio. A ratio is the peer's cost
divided by ours: **above 1 we are cheaper**, and every goal is a minimum. Beside each ratio of wall
times stands that of processor times, which other work on the machine hardly moves, but which counts
no waiting (for a disk) and counts every thread.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.processes import most_megabytes

BUDGET_S = 20.0  # after which nothing is repeated again, so that a slow machine comes to an end
FEWEST = 2  # repeats, whatever they take

Costs = list[tuple[float, float]]  # wall and processor seconds, repeat by repeat


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """The setting that a benchmark runs in.

    Attributes:
        directory: a study with corpus, teacher states and latents; see `workload`.
        threads: threads of this process.
        quick: few repeats and small sizes, to check that everything works; the numbers mean little.
    """

    directory: Path
    threads: int = 1
    quick: bool = False

    def repeats(self, full: int) -> int:
        """`full` repeats at most, or 2 in a quick run; see `repeating`."""
        return FEWEST if self.quick else full


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """The peer's cost divided by ours.

    Attributes:
        median: median of the paired ratios.
        low: lower end of its 95 % bootstrap interval.
        high: upper end.
        ours: our median cost, in seconds unless a row says otherwise.
        peers: the peer's median cost.
        cpu: the median ratio of processor times; None where cost is no time, or either used none.
        repeats: number of pairs.
    """

    median: float
    low: float
    high: float
    ours: float
    peers: float
    cpu: float | None = None
    repeats: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        stage: what is measured.
        peer: what it is compared with.
        ratio: the peer's cost divided by ours.
        goal: the smallest ratio wanted; None if there is no goal on this machine.
        gate: the condition for the ratio to count, with the measured number.
        gate_passed: whether the condition holds.
        unit: unit of the two costs.
    """

    stage: str
    peer: str
    ratio: Ratio
    goal: float | None
    gate: str
    gate_passed: bool
    unit: str = "s"


@dataclass(frozen=True, kw_only=True, slots=True)
class NotRun:
    """A line of the table that could not be measured here.

    Attributes:
        stage: what would be measured.
        peer: what it would be compared with.
        goal: the smallest ratio wanted.
        reason: what this machine lacks, or how the measurement failed.
    """

    stage: str
    peer: str
    goal: float | None
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """How cost grows: the exponent of size in a power law, with its interval over repeats.

    Cost is processor time: other work on the machine would bend a curve of wall times.

    Attributes:
        stage: what is measured.
        size: name of the size that grows.
        sizes: its values.
        seconds: median processor time at each size; `lows` and `highs` their 95 % intervals.
        exponent: slope in log-log, median over repeats; `low` and `high` its 95 % interval.
        last_exponent: the exponent between the two largest sizes.
        repeats: times that every size was measured; after a single one there are no intervals.
        megabytes: memory added at each size to that of a process without the work, if known.
    """

    stage: str
    size: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    exponent: float
    low: float
    high: float
    last_exponent: float
    repeats: int
    megabytes: tuple[float, ...] | None = None


def repeating(most: int, fewest: int = FEWEST, budget_s: float | None = None) -> Iterator[int]:
    """Count repeats: `most` of them, or fewer once `budget_s` (`BUDGET_S`) have passed."""
    end = time.monotonic() + (BUDGET_S if budget_s is None else budget_s)
    for repeat in range(most):
        if repeat >= fewest and time.monotonic() > end:
            return
        yield repeat


def costs_of(
    work: Callable[[], object], clock: Callable[[], float] | None = None
) -> tuple[float, float]:
    """Wall and processor seconds of one call, the latter as `clock` (`processor_seconds`) says."""
    clock = clock or processor_seconds
    start, used = time.perf_counter(), clock()
    work()
    return time.perf_counter() - start, clock() - used


def processor_seconds() -> float:
    """Processor time so far of all threads of this process and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def compare(
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    repeats: int,
    scale: float = 1.0,
    warm_up: int = 1,
    settle: Callable[[], object] = lambda: None,
    clock: Callable[[], float] | None = None,
    fewest: int = FEWEST,
) -> Ratio:
    """Time both by turns and return the ratio.

    Args:
        ours: one unit of our work.
        peer: one unit of the peer's.
        repeats: most paired calls, see `repeating`; their order alternates.
        scale: factor on the peer's time if its unit of work differs.
        warm_up: uncounted calls of each.
        settle: called after each of our calls, uncounted, to end what it left in the background.
        clock: processor seconds so far; by default `processor_seconds`.
        fewest: paired calls to make, however long they take.
    """

    def measured() -> tuple[float, float]:
        cost = costs_of(ours, clock)
        settle()
        return cost

    for _ in range(warm_up):
        measured()
        peer()
    mine, theirs = list[tuple[float, float]](), list[tuple[float, float]]()
    for repeat in repeating(repeats, fewest):
        if repeat % 2:
            theirs.append(costs_of(peer, clock))
            mine.append(measured())
        else:
            mine.append(measured())
            theirs.append(costs_of(peer, clock))
    return ratio_of_costs(mine, [(wall * scale, used * scale) for wall, used in theirs])


def ratio_of_costs(mine: Costs, theirs: Costs) -> Ratio:
    """The ratio of paired costs, each of wall and processor seconds."""
    wall, used = zip(*mine, strict=True)
    peers_wall, peers_used = zip(*theirs, strict=True)
    # What costs less than the processor clock's grain has no ratio.
    cpu = ratio_of(used, peers_used).median if min(*used, *peers_used) > 0 else None
    return dataclasses.replace(ratio_of(wall, peers_wall), cpu=cpu)


def ratio_of(ours: Sequence[float], peers: Sequence[float]) -> Ratio:
    """The ratio of paired costs."""
    ratios = np.array(peers) / np.array(ours)
    low, high = median_interval(ratios)
    return Ratio(
        median=float(np.median(ratios)),
        low=low,
        high=high,
        ours=statistics.median(ours),
        peers=statistics.median(peers),
        repeats=len(ours),
    )


def median_interval(values: np.ndarray, num_resamples: int = 4000) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the median of `values` (n,)."""
    rng = np.random.default_rng(0)
    picked = rng.choice(values, size=(num_resamples, len(values)))
    low, high = np.percentile(np.median(picked, axis=1), [2.5, 97.5])
    return float(low), float(high)


def measure_growth(
    stage: str,
    size: str,
    sizes: Sequence[int],
    work_of: Callable[[int], Callable[[], object]],
    *,
    repeats: int,
) -> Growth:
    """Fit cost against size; each repeat times every size once and gives one slope.

    Memory is how much this process's peak grows when each size is first made and run, smallest
    first. It is 0 where that stays below an earlier peak, such as that of importing.
    """
    before, work, megabytes = most_megabytes(), list[Callable[[], object]](), list[float]()
    for value in sorted(sizes):
        work.append(work_of(value))
        work[-1]()
        megabytes.append(round(most_megabytes() - before, 1))
    table = [[costs_of(call)[1] for call in work] for _ in repeating(repeats)]
    return growth_of(stage, size, tuple(sorted(sizes)), table, tuple(megabytes))


def growth_of(
    stage: str,
    size: str,
    values: tuple[int, ...],
    costs: list[list[float]],
    megabytes: tuple[float, ...] | None = None,
) -> Growth:
    """Fit measured costs, one row per repeat and one column per size."""
    table, sizes = np.array(costs), np.log(values)
    slopes = np.array([np.polyfit(sizes, np.log(row), 1)[0] for row in table])
    low, high = median_interval(slopes)
    lows, highs = zip(*(median_interval(column) for column in table.T), strict=True)
    ends = np.log(table[:, -1] / table[:, -2]) / (sizes[-1] - sizes[-2])
    return Growth(
        stage=stage,
        size=size,
        sizes=values,
        seconds=tuple(np.median(table, axis=0).tolist()),
        lows=lows,
        highs=highs,
        exponent=float(np.median(slopes)),
        low=low,
        high=high,
        last_exponent=float(np.median(ends)),
        repeats=len(table),
        megabytes=megabytes,
    )
