"""Stands in for a process of the Procfile: ``python stand_in.py ROLE``.

serve VARIABLE   answers 200 to everything on the socket that VARIABLE hands over (fd://N)
stubborn         ignores every polite signal, and so does its child, in a session of its own
fail             says why and ends with code 3
"""

import os
import signal
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Ok(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Stay silent."""


def serve(variable: str) -> None:
    descriptor = int(os.environ[variable].removeprefix("fd://"))
    server = HTTPServer(("127.0.0.1", 0), Ok, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=descriptor)
    server.serve_forever()


def be_stubborn(*, alone: bool) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if not alone:
        subprocess.Popen([sys.executable, __file__, "stubborn", "alone"], start_new_session=True)
    while True:
        signal.pause()


def fail() -> None:
    print("the flux capacitor is missing", flush=True)
    sys.exit(3)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", name]:
            serve(name)
        case ["stubborn", *rest]:
            be_stubborn(alone=bool(rest))
        case ["fail"]:
            fail()
