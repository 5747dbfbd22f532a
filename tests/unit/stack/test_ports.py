import socket

import pytest

from stack.ports import PortTaken, listen, listen_for_web, port_of


def test_a_port_that_is_asked_for_is_listened_on() -> None:
    with listen() as probe:
        port = port_of(probe)
    with listen_for_web({"PORT": str(port)}) as listener:
        assert port_of(listener) == port
        socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.parametrize("value", ["http", "-1", "65536", "8080.0"])
def test_what_is_no_port_is_refused_by_name(value: str) -> None:
    with pytest.raises(PortTaken, match=f"PORT={value}"):
        listen_for_web({"PORT": value})


def test_a_taken_port_is_refused_when_it_was_asked_for() -> None:
    with listen() as taken, pytest.raises(PortTaken, match=f"PORT={port_of(taken)}"):
        listen_for_web({"PORT": str(port_of(taken))})


def test_without_a_wish_each_stack_gets_a_port_of_its_own() -> None:
    with listen_for_web({}) as one, listen_for_web({"PORT": ""}) as two:
        assert port_of(one) != port_of(two)
