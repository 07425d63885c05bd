"""The app: until its first page is there, and a rerun of a page with a map of 50,000 points.

A client speaks Streamlit's protocol as a browser does, so what counts is the server: a page is
complete when its script has finished. The map's peer is the scatter plot that a Streamlit user
would draw, `st.plotly_chart`, of the same points and colours.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measuring import Row, Setting, compare, processor_seconds, ratio_of
from benchmarks.processes import ROOT, environment, used_by

POINTS, QUICK_POINTS = 50_000, 2_000
LARGEST_MESSAGE = 2e6
PATIENCE_S = 120.0
STREAMLIT = (sys.executable, "-m", "streamlit")
APP = (sys.executable, "-m", "workbench", "app", "--no-browser", "--port")
HEADLESS = ("--server.headless", "true", "--browser.gatherUsageStats", "false", "--server.port")
MAP_SCRIPT = """
import numpy as np
import streamlit as st

points, ours = {points}, {ours}


@st.cache_resource
def made():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, points)
    coords = (rng.normal(size=(points, 2)) + 3 * codes[:, None]).astype(np.float32)
    words = [f"word {{row % 500}}" for row in range(points)]
    return codes, coords, words


find = st.query_params.get("find", "")
codes, coords, words = made()
classes = ("noun", "verb", "adjective")
if ours:
    from analyses.figures.linked_maps import Colouring
    from workbench.probes.spaces import Items
    from workbench.ui.map.component import show_map
    from workbench.ui.map.view import MapView

    @st.cache_resource
    def view():
        spaces = {{"none": coords}}
        return MapView(
            key="benchmark", items=Items(spaces, words, words, {{}}, words, np.arange(points)),
            coords=spaces, titles={{"none": "none"}},
            colouring=Colouring(name="class", codes=codes, classes=classes),
            hint="", file="map", paths={{}}, first=0,
        )

    show_map(view(), find)
else:
    import plotly.graph_objects as go

    figure = go.Figure()
    for code, name in enumerate(classes):
        own = codes == code
        named = [word for word, inside in zip(words, own) if inside]
        figure.add_scattergl(
            x=coords[own, 0], y=coords[own, 1], text=named, name=name, mode="markers"
        )
    figure.update_layout(title=find)
    st.plotly_chart(figure)
"""


def app_pages(setting: Setting) -> Iterator[Row]:
    """Until the first page is there, against Streamlit's own demo; reruns and messages of a map."""
    runs = str(setting.directory.parent)
    yield Row(
        stage="app, from its start until the first page is complete",
        peer="streamlit hello",
        ratio=compare(
            partial(first_page, APP, environment(WORKBENCH_RUNS=runs)),
            partial(first_page, (*STREAMLIT, "hello", *HEADLESS), environment()),
            repeats=setting.repeats(5),
            warm_up=0,
        ),
        goal=1.15 / 2.5,
        gate="both scripts ended without an error",
        gate_passed=True,  # otherwise `Client.rerun` raises
    )
    points = QUICK_POINTS if setting.quick else POINTS
    with TemporaryDirectory(prefix="benchmark-") as name, _maps(Path(name), points) as clients:
        ours, peer = clients
        for client in clients:
            client.rerun("")
        words = (f"find=word+{number}" for number in range(1000))
        ratio = compare(
            lambda: ours.rerun(next(words)),
            lambda: peer.rerun(next(words)),
            repeats=setting.repeats(30),
            clock=lambda: processor_seconds() + ours.server_seconds() + peer.server_seconds(),
        )
        largest = max(ours.largest, 1)
        gate = f"largest message {largest / 1e6:.2f} MB < {LARGEST_MESSAGE / 1e6:.0f}"
        shared: dict[str, Any] = {
            "peer": "st.plotly_chart of the same points",
            "gate": gate,
            "gate_passed": largest < LARGEST_MESSAGE,
        }
        yield Row(stage=f"rerun of a map of {points} points", ratio=ratio, goal=1.0, **shared)
        yield Row(
            stage=f"largest message of a map of {points} points",
            ratio=ratio_of([largest / 1e6], [peer.largest / 1e6]),
            goal=1.0,
            unit="MB",
            **shared,
        )


class Client:
    """A session with a Streamlit server.

    Args:
        address: host and port of the server.
        pid: of the server.
    """

    def __init__(self, address: str, pid: int) -> None:
        from websockets.sync.client import connect

        self.largest, self._pid = 0, pid
        url = f"ws://{address}/_stcore/stream"
        self._socket = connect(url, subprotocols=["streamlit"], max_size=None)  # type: ignore[list-item]

    def rerun(self, query: str) -> None:
        """Run the page's script once, with a query in its address, and wait for its end.

        Raises:
            RuntimeError: the script failed.
        """
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        asked = BackMsg()
        asked.rerun_script.query_string = query
        self._socket.send(asked.SerializeToString())
        while True:
            content = self._socket.recv(timeout=PATIENCE_S)
            self.largest = max(self.largest, len(content))
            message = ForwardMsg.FromString(content)
            kind = message.WhichOneof("type")
            if kind == "delta" and message.delta.new_element.HasField("exception"):
                raise RuntimeError(message.delta.new_element.exception.message)
            if kind == "script_finished":
                if message.script_finished != ForwardMsg.FINISHED_SUCCESSFULLY:
                    raise RuntimeError(f"the script ended with {message.script_finished}")
                return

    def server_seconds(self) -> float:
        """Processor seconds of the server so far."""
        return used_by(self._pid)

    def close(self) -> None:
        """End the session."""
        self._socket.close()


def first_page(command: Sequence[str], variables: dict[str, str]) -> None:
    """Start a server, open its first page, and end it."""
    with served(command, variables) as client:
        client.rerun("")


@contextmanager
def served(command: Sequence[str], variables: dict[str, str]) -> Iterator[Client]:
    """A client of a server for as long as the body runs; the command's last word is its port.

    Raises:
        RuntimeError: the server ended, or does not answer.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen(
        [*command, address.rpartition(":")[2]],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(server, f"http://{address}/_stcore/health")
        client = Client(address, server.pid)
        yield client
        client.close()
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def _wait_for(server: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{url} does not answer")


@contextmanager
def _maps(folder: Path, points: int) -> Iterator[tuple[Client, Client]]:
    """Sessions with a page that shows our map, and with one that shows the peer's plot."""
    scripts = []
    for ours in (True, False):
        scripts.append(folder / f"map_{ours}.py")
        scripts[-1].write_text(MAP_SCRIPT.format(points=points, ours=ours), encoding="utf-8")
    first, second = ((*STREAMLIT, "run", str(script), *HEADLESS) for script in scripts)
    with served(first, environment()) as own, served(second, environment()) as peer:
        yield own, peer
