import socket
import threading
from contextlib import suppress

import pytest

from api.http.connections import Connection


@pytest.mark.parametrize("server", ["gunicorn.socket", "werkzeug.socket"])
def test_a_client_that_has_closed_is_gone_and_one_that_has_sent_or_waits_is_not(
    server: str,
) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        connection = Connection({server: ours})
        assert not connection.is_gone()
        theirs.send(b"GET")
        assert not connection.is_gone()
        assert ours.recv(3) == b"GET"
        theirs.close()
        assert connection.is_gone()


def test_of_a_server_that_shows_no_connection_nothing_is_known() -> None:
    connection = Connection({})
    connection.cut()
    assert not connection.is_gone()


def test_a_thread_that_is_stuck_in_sending_is_freed() -> None:
    ours, theirs = socket.socketpair()
    ended: list[type[OSError]] = []

    def send() -> None:
        try:
            ours.sendall(b"one byte more")
        except OSError as error:
            ended.append(type(error))

    with ours, theirs:
        ours.setblocking(False)
        with suppress(BlockingIOError):
            while ours.send(bytes(65536)):
                pass
        ours.setblocking(True)
        thread = threading.Thread(target=send)
        thread.start()
        Connection({"gunicorn.socket": ours}).cut()
        thread.join(60)
    assert ended == [BrokenPipeError]
