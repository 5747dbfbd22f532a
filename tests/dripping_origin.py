"""An origin of sources that answers no ranges and sends as slowly as a test tells it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from typing import Any


@dataclass
class Dripping:
    """One file, sent in pieces with a pause before each.

    Attributes:
        pieces: The pieces of the file; the same list may be sent any number of times.
        endless: Sent again and again after them.
        pause_sec: The pause before each piece.
        is_sized: Says the length beforehand.
        before_piece: Called before each piece of a whole answer with its number, from 0.
        sent: Pieces of whole answers that were sent.
        released: Ends every pause.
    """

    pieces: list[bytes]
    endless: bytes = b""
    pause_sec: float = 0.0
    is_sized: bool = True
    before_piece: Callable[[int], object] = lambda _: None
    sent: int = 0
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def stall(self) -> None:
        """Send nothing more until the test ends."""
        self.released.wait()


@contextmanager
def dripping(content: bytes, *, pieces: int = 20, **told: Any) -> Iterator[Dripping]:
    """Serve a file on a free port of loopback."""
    size = -(-len(content) // pieces)
    origin = Dripping([content[at : at + size] for at in range(0, len(content), size)], **told)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(origin))
    server.daemon_threads = True
    origin.url = f"http://127.0.0.1:{server.server_port}/source.mp4"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield origin
    finally:
        origin.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(origin: Dripping) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if origin.is_sized:
                self.send_header("Content-Length", str(sum(map(len, origin.pieces))))
            self.end_headers()
            if "Range" not in self.headers:
                with suppress(OSError):  # the reader hangs up
                    self._send_all()

        def _send_all(self) -> None:
            endless = repeat(origin.endless) if origin.endless else ()
            for number, piece in enumerate(chain(origin.pieces, endless)):
                origin.released.wait(origin.pause_sec)
                origin.before_piece(number)
                self.wfile.write(piece)
                origin.sent += 1

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
