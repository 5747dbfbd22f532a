"""Stands in for a process of the Procfile: ``python stand_in.py ROLE``.

serve VARIABLE   answers 200 to everything on the socket that VARIABLE hands over (fd://N)
warm VARIABLE    the same, but its first answers are 503: nine seconds of counting down
refuse VARIABLE  answers 503 to everything
stop             stops itself, as Ctrl-Z would
stubborn         ignores every polite signal, and so does its child, in a session of its own
fail             says why and ends with code 3
"""

import math
import os
import signal
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

READY_AFTER_SEC = {"serve": 0.0, "warm": 9.0, "refuse": math.inf}


class Readiness(BaseHTTPRequestHandler):
    ready_at = 0.0

    def do_GET(self) -> None:
        left_sec = self.ready_at - time.monotonic()
        body = b"" if left_sec <= 0 else f"{left_sec:.0f} s left".encode()
        self.send_response(503 if body else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Stay silent."""


def serve(variable: str, ready_after_sec: float) -> None:
    Readiness.ready_at = time.monotonic() + ready_after_sec
    descriptor = int(os.environ[variable].removeprefix("fd://"))
    server = HTTPServer(("127.0.0.1", 0), Readiness, bind_and_activate=False)
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
        case ["serve" | "warm" | "refuse" as role, name]:
            serve(name, READY_AFTER_SEC[role])
        case ["stop"]:
            os.kill(os.getpid(), signal.SIGSTOP)
        case ["stubborn", *rest]:
            be_stubborn(alone=bool(rest))
        case ["fail"]:
            fail()
