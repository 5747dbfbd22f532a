"""A TCP proxy in front of a server, whose wire can be made to misbehave.

What a fault does to a connection:

* latency: every chunk, either way, waits a little.
* reset: both ends get RST at once; while it lasts, so does everybody who connects.
* black hole: nothing passes, nobody is told; it arrives when the hole closes, as after lost
  packets. New connections are accepted, as by a peer's kernel, and wait.
* half-open: the server's end is gone and the client is not told. New connections are fine. When
  the fault ends the client gets RST, as its own kernel's timeouts would have it at last.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from stack.ports import LOOPBACK, listen, port_of

CHUNK_BYTES = 64 * 1024
LATENCY_SEC = 0.02
"""Each way, for every chunk: ten times what another zone of the same region costs."""

Upstream = Callable[[], tuple[str, int] | str]
"""Where the server is now: host and port, or the path of its Unix socket."""


class Wire(StrEnum):
    """What the wire does."""

    PASS = "pass"
    LATENCY = "latency"
    RESET = "reset"
    BLACK_HOLE = "black hole"
    HALF_OPEN = "half-open"


@dataclass(eq=False)
class _Link:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    is_cut: bool = False
    """Its server's end is gone and its client has not been told."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)


class Proxy:
    """Listens on a free port of loopback from its making until ``close``.

    Attributes:
        refused: Connections that were refused because the wire was reset.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._wire = Wire.PASS
        self.refused = 0
        self._links: set[_Link] = set()
        self._passing = asyncio.Event()
        self._listener = listen()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="proxy")
        self._thread.start()
        self._call(self._start())

    @property
    def port(self) -> int:
        """Where clients connect."""
        return port_of(self._listener)

    def set(self, wire: Wire) -> None:
        """Make the wire behave so from now on; ``PASS`` ends a fault."""
        self._call(self._set(wire))

    def close(self) -> None:
        """End every connection and stop listening."""
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10.0)

    async def _start(self) -> None:
        self._passing.set()
        self._server = await asyncio.start_server(self._serve, sock=self._listener)

    async def _stop(self) -> None:
        self._server.close()
        for link in list(self._links):
            self._abort(link)
        await asyncio.sleep(0.05)

    async def _set(self, wire: Wire) -> None:
        ended, self._wire = self._wire, wire
        for link in list(self._links):
            if wire is Wire.RESET or (link.is_cut and ended is Wire.HALF_OPEN):
                self._abort(link)
            elif wire is Wire.HALF_OPEN and link.server is not None:
                link.is_cut = True
                link.server.transport.abort()
        if wire is Wire.BLACK_HOLE:
            self._passing.clear()
        else:
            self._passing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        try:
            if self._wire is Wire.RESET:
                self.refused += 1
                return
            await self._passing.wait()
            server_reader, link.server = await self._connect()
            link.tasks = [
                asyncio.ensure_future(self._pump(link, reader, link.server)),
                asyncio.ensure_future(self._pump(link, server_reader, writer)),
            ]
            await asyncio.wait(link.tasks, return_when=asyncio.FIRST_COMPLETED)
            if link.is_cut:  # the client waits for an answer that will never come
                await link.ended.wait()
        except OSError:
            pass  # the server is away: what the client sees is a connection that ends
        finally:
            self._abort(link)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        where = self._upstream()
        if isinstance(where, str):
            return await asyncio.open_unix_connection(where)
        return await asyncio.open_connection(*where)

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if link.is_cut:
                    return
                if self._wire is Wire.LATENCY:
                    await asyncio.sleep(LATENCY_SEC)
                await self._passing.wait()
                writer.write(chunk)
                await writer.drain()

    def _abort(self, link: _Link) -> None:
        link.ended.set()
        self._links.discard(link)
        for task in link.tasks:
            task.cancel()
        for writer in (link.client, link.server):
            if writer is not None:
                _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN (SO_LINGER with no time, socket(7))."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.family != socket.AF_UNIX:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def address_of(proxy: Proxy) -> str:
    """``host:port`` of a proxy, as it stands in URLs."""
    return f"{LOOPBACK}:{proxy.port}"
