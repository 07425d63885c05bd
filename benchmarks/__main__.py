"""`python -m benchmarks [--only a,b] [--quick]`: measure, write the day's JSON and the table."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def main(
    only: str = "", quick: bool = False, threads: str = "", out: str = "", note: str = ""
) -> None:
    """Measure every stage against its peer; exits with 1 if one of them failed.

    Args:
        only: Benchmarks, separated by commas; empty runs all.
        quick: Few repeats and small sizes, to check that everything works; prints the results and
            writes them only if `out` is given.
        threads: Thread counts, separated by commas; empty uses each benchmark's own.
        out: Directory of the results; empty is benchmarks/results.
        note: What else a reader must know about the machine; stored with the results.
    """
    from benchmarks.catalog import BENCHMARKS, chosen
    from benchmarks.reports import save
    from benchmarks.running import FAILED, measure
    from benchmarks.workload import prepared

    names, counts = chosen(only), tuple(int(part) for part in threads.split(",") if part)
    start, failed = time.monotonic(), list[str]()
    needed = any(BENCHMARKS[name].prepared for name in names)
    if needed:
        _say("preparing corpus, teacher states and latents", start)
    with prepared(quick) if needed else nullcontext(Path()) as directory:
        for found in measure(names, directory, quick=quick, threads=counts):
            for record in found:
                _say(_line(record), start)
                if record.get("reason", "").startswith(FAILED):
                    failed.append(record["benchmark"])
            if out or not quick:
                save(found, Path(out) if out else RESULTS, note)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _line(record: dict[str, Any]) -> str:
    head = f"{record['stage']} [{record['threads']} threads]"
    if "reason" in record:
        return f"{head}: not run: {record['reason']}"
    if "exponent" in record:
        return f"{head}: {record['size']}^{record['exponent']:.2f}"
    interval = f"{record['ratio']:.3g} ({record['low']:.3g} to {record['high']:.3g})"
    goal = "" if record["goal"] is None else f", goal {record['goal']:.3g}"
    gate = "" if record["gate_passed"] else f", GATE FAILED: {record['gate']}"
    return f"{head}: {interval} against {record['peer']}{goal}{gate}"


def _say(text: str, start: float) -> None:
    print(f"{time.monotonic() - start:6.0f} s  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    import tyro

    tyro.cli(main, config=(tyro.conf.FlagCreatePairsOff,))
