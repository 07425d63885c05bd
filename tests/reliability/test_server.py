"""The server of the app as its verb starts it: on loopback only, and forgeries are refused."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTENING = "0A"
pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[tuple[int, int]]:
    """Process id and port of a running app without studies."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "app", "--port", str(port), "--quiet"],
        cwd=ROOT,
        env={**os.environ, "WORKBENCH_RUNS": str(tmp_path_factory.mktemp("runs"))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_it_answers(process, port)
        yield process.pid, port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 120
    while True:
        assert process.poll() is None, "the app ended by itself"
        assert time.monotonic() < deadline, "the app does not answer"
        with contextlib.suppress(OSError):
            if ask(port, "GET", "/_stcore/health") == 200:
                return
        time.sleep(0.1)


def ask(port: int, method: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers=headers)
    return connection.getresponse().status


def listening_addresses(pid: int) -> set[str]:
    """Local addresses, as the kernel writes them, on which a process listens."""
    sockets = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == LISTENING and f"socket:[{rest[5]}]" in sockets:
                found.add(local.split(":")[0])
    return found


def test_it_listens_on_this_machine_only(server):
    assert listening_addresses(server[0]) == {"0100007F"}


def test_an_upload_without_the_token_is_refused(server):
    path = "/_stcore/upload_file/session/file"
    assert ask(server[1], "PUT", path, Origin="http://evil.example") == 403


def test_the_settings_it_ships_with():
    known = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert known["server"]["address"] == "127.0.0.1"
    assert known["server"]["enableXsrfProtection"] is True
    assert known["server"]["maxMessageSize"] <= 20
    assert known["browser"]["gatherUsageStats"] is False
    assert known["client"]["showErrorDetails"] == "none"
