"""A session of the app without a browser: it speaks Streamlit's protocol over a websocket."""

from __future__ import annotations

from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.ui.conftest import PAGES

SECONDS = 600


class Visitor:
    """One session: opens pages and receives all that they send.

    Attributes:
        received: bytes of every message of the page opened last.
        exceptions: uncaught exceptions that this page showed.
    """

    def __init__(self, address: str) -> None:
        self._socket: ClientConnection = connect(
            f"{address.replace('http', 'ws')}/_stcore/stream",
            origin=address,  # type: ignore[arg-type]
            subprotocols=["streamlit"],  # type: ignore[list-item]
            max_size=None,
            ping_interval=None,  # a server that works hard may answer late
            max_queue=None,
        )
        self.received: list[int] = []
        self.exceptions: list[str] = []

    def ask(self, page: str, query: str) -> None:
        """Ask for a page, as a browser does that opens its address."""
        from streamlit.proto.BackMsg_pb2 import BackMsg

        message = BackMsg()
        message.rerun_script.page_name = "" if page == PAGES[0] else page
        message.rerun_script.query_string = query
        self._socket.send(message.SerializeToString())

    def receive(self) -> None:
        """Take everything until the page is complete."""
        self.received, self.exceptions = [], []
        while True:
            data = self._socket.recv(timeout=SECONDS)
            assert isinstance(data, bytes)
            self.received.append(len(data))
            message = _message(data)
            if message.delta.new_element.WhichOneof("type") == "exception":
                self.exceptions.append(message.delta.new_element.exception.message)
            if message.WhichOneof("type") == "script_finished":
                return

    def close(self) -> None:
        """Leave, as a browser does whose tab is closed."""
        self._socket.close()


def _message(data: bytes) -> Any:
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    message = ForwardMsg()
    message.ParseFromString(data)
    return message
