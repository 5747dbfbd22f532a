"""Task messages that nobody of ours sends, for whoever can write to the broker might."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu.connection import Connection

from pipeline.runtime.message_signatures import HEADER, KEY_SETTING, sign_message
from pipeline.runtime.task_publishing import SIGNING

JSON = "application/json"


def _signature(task: str) -> dict[str, Any]:
    """What Celery would call after a task, as messages carry it."""
    return {"task": task, "args": [], "kwargs": {}, "options": {}, "subtask_type": None}


def _after(**embedded: Any) -> bytes:
    return json.dumps([[str(uuid4())], {}, embedded]).encode()


BODIES = (
    *(b"", b"[", b"{}", b"[[], {}, {}]", b"null", b"[" * 100_000, b"\xff"),
    *(json.dumps(body).encode() for body in ([[1] * 9, {}, {}], [[], [1], {}], [[], {}, [1]])),
    json.dumps({"args": [], "timelimit": ["x", "y"]}).encode(),
    json.dumps([[[[[]]] * 1000], {"x": 1}, {}]).encode(),
    _after(
        callbacks=[_signature("os.system"), _signature("celery.backend_cleanup")],
        chain=[_signature("os.system")],
        chord=_signature("os.system"),
        errbacks=[_signature("os.system")],
    ),
    _after(callbacks=7, chain=8, chord=9, errbacks="x"),
)
"""Of a task that takes one id; the last two have others called after it."""

HEADERS: tuple[Mapping[str, Any], ...] = (
    *({"task": ["x"]}, {"task": {}}, {"task": None}, {"task": "os.system"}),
    *({"id": ["x"]}, {"id": None}, {"shadow": ["x"]}, {"lang": "js", "retries": "x"}),
    *({"timelimit": ["x", "y"]}, {"timelimit": [1]}, {"timelimit": [-1, -1]}),
    *({"eta": 7}, {"eta": "9999-12-31T23:59:59"}, {"expires": "never"}, {"compression": "x"}),
    {"group": [1], "root_id": {}, "stamped_headers": 7, "replaced_task_nesting": "x"},
)
"""Over those of a message that is in order."""

KINDS = (
    *(("application/x-python-serialize", "binary"), ("application/x-yaml", "utf-8")),
    *(("text/plain", "utf-8"), ("application/data", "binary"), (JSON, "utf-16"), (JSON, "x")),
    (None, None),
)
"""Content types and encodings other than ours."""


def forger(url: str, options: Mapping[str, Any], key: str | None) -> Celery:
    """Make an app that publishes anything; with a key, signed as ours are."""
    app = Celery("forger", broker=url, set_as_current=False, **({"amqp": SIGNING} if key else {}))
    app.conf.update(**{"broker_transport_options": dict(options), KEY_SETTING: key})
    return app


def send_forgeries(
    app: Celery, options: Mapping[str, Any], queue: str, task: str, pickled: bytes
) -> int:
    """Publish them all; says how many they are.

    Args:
        app: Of the forger; its key signs each of them.
        options: Of the transport.
        queue: Where they go.
        task: The name of a task that takes one id.
        pickled: What must not be unpickled.
    """
    fine = _after()
    with (
        Connection(app.conf.broker_url, transport_options=dict(options)) as connection,  # type: ignore[no-untyped-call] # kombu has no types
        closing(connection.SimpleQueue(queue)) as simple,
    ):
        forgeries = list(_forgeries(fine, pickled))
        for body, (content_type, encoding), changed in forgeries:
            headers = {"task": task, "id": str(uuid4()), "lang": "py", **changed}
            if key := app.conf[KEY_SETTING]:
                headers[HEADER] = sign_message(key, headers, body)
            simple.producer.publish(
                body,
                content_type=content_type,
                content_encoding=encoding,
                headers=headers,
                routing_key=queue,
            )
    return len(forgeries)


def _forgeries(
    fine: bytes, pickled: bytes
) -> Iterator[tuple[bytes, tuple[str | None, str | None], Mapping[str, Any]]]:
    yield from ((body, (JSON, "utf-8"), {}) for body in BODIES)
    yield from ((fine, (JSON, "utf-8"), headers) for headers in HEADERS)
    yield from ((body, kind, {}) for kind in KINDS for body in (fine, pickled))
