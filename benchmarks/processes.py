"""Fresh processes, their peak memory, and the processor time of those that still run."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment(**more: str) -> dict[str, str]:
    """This process's environment, with the project importable."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def python(*arguments: str) -> str:
    """Standard output of a fresh interpreter.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def most_megabytes() -> float:
    """Most memory that this process has held at any time so far, in MB.

    On Linux `ru_maxrss` would begin at what the parent held when it started this process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        peaks = [line.split()[1] for line in status.read_text().splitlines() if "VmHWM:" in line]
        if peaks:
            return int(peaks[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def used_by(pid: int) -> float:
    """Processor seconds so far of another process and its ended children; 0 if none is known.

    Linux says it; elsewhere the ratio of processor times lacks that process.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
