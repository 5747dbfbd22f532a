"""``python -m tests.chaos.provider``: the provider as a process of its own.

Usage: ``… FD FOLDER SEED OVERDUE_SEC CALLBACK_URL``; the secret of its callbacks is in
``KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS``. FD is a socket that listens already.
"""

import logging
import os
import socket
import sys
from pathlib import Path

from werkzeug.serving import make_server

from tests.chaos.provider.courier import Courier, Timetable
from tests.chaos.provider.courses import Courses
from tests.chaos.provider.ledger import Ledger
from tests.chaos.provider.server import FrontDoor, make_app


def main(descriptor: str, folder: str, seed: str, overdue_sec: str, target: str) -> None:
    """Serve until killed."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    listener = socket.socket(fileno=int(descriptor))
    host, port = listener.getsockname()
    ledger, timetable = Ledger(), Timetable()
    secret = os.environ["KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS"].split(",")[0]
    courier = Courier(ledger, timetable, target, secret)
    courses = Courses(ledger, timetable, courier, f"http://{host}:{port}")
    door = FrontDoor(ledger, courses, int(seed), float(overdue_sec))
    app = make_app(door, ledger, Path(folder))
    make_server(host, port, app, threaded=True, fd=listener.fileno()).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
