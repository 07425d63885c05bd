"""A Slurm of two nodes on this machine, for tests: own configuration, ports, key and folder.

Needs Debian's packages `slurm-wlm` and `munge` (or another distribution's), but no service and no
root: the daemons run as this user and end with the test.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
NODES = ("n1", "n2")
SECONDS = 60.0
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=2,bf_interval=2
JobRequeue=1
KillWait=60
ReturnToService=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE State=UP
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF State=UP
"""


def missing() -> list[str]:
    """Programs that are not installed; empty if Slurm can be started."""
    return [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=PATH) is None]


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start Slurm in a short-named folder; yields the environment for its commands."""
    folder.chmod(0o700)
    (folder / "state").mkdir()
    for node in NODES:
        (folder / f"spool-{node}").mkdir()
    key, file = folder / "munge.key", folder / "slurm.conf"
    files = [f"--{name}-file={folder / f'munge.{name}'}" for name in ("key", "pid", "log", "seed")]
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    file.write_text(
        CONFIGURATION.format(
            host=socket.gethostname().split(".")[0],
            user=getpass.getuser(),
            folder=folder,
            ports=_free_ports(3),
        )
    )
    environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(file)}
    try:
        ask(environment, "munged", "--force", *files, f"--socket={folder / 'munge.socket'}")
        ask(environment, "slurmctld", "-f", str(file))
        for node in NODES:
            ask(environment, "slurmd", "-f", str(file), "-N", node)
        _wait_until_idle(environment)
        yield environment
    finally:
        for pid_file in (*folder.glob("slurmd-*.pid"), *folder.glob("*.pid")):
            _end(pid_file)


def ask(environment: dict[str, str], *words: str) -> str:
    """What one of Slurm's commands answers."""
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def _wait_until_idle(environment: dict[str, str]) -> None:
    deadline = time.monotonic() + SECONDS
    command = ("sinfo", "--noheader", "--Node", "--partition=low", "--format=%T")
    while True:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.stdout.split() == ["idle"] * len(NODES):
            return
        assert time.monotonic() < deadline, f"the nodes do not come up: {done}"
        time.sleep(0.2)


def _end(pid_file: Path) -> None:
    """End the daemon of a pid file, and wait for it."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
        for _ in range(100):
            os.kill(pid, 0)
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
