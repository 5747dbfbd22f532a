"""A stranger's requests about an owner's video and upload; for a process of its own.

``python -m tests.mutations.trespass`` prints how each was answered. The product is what
comes first on the path; settings are the environment's.
"""

import json
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from flask.testing import FlaskClient

from api.app import create_app
from api.wiring.services import EXTENSION
from pipeline.config.groups import load_settings
from pipeline.content.object_urls import source_key
from pipeline.lifecycle.submit import submit
from pipeline.process_settings import WorkerSettings
from pipeline.services import build_services
from tests.integration.api.conftest import OWNER, SOURCE, STRANGER, token

ASSETS, UPLOADS = "/api/video-assets", "/api/uploads"
CREATE = f"{ASSETS}/create"


def answers(client: FlaskClient) -> dict[str, int]:
    """What the owner and then the stranger are told, by what was tried."""
    mine, theirs = _bearers()
    video = {"post_id": str(uuid4()), "source_url": SOURCE}
    upload, own = (_issue(client, who) for who in (mine, theirs))
    of_mine = f"{UPLOADS}/{upload['upload_id']}"
    made_of_mine = {"post_id": upload["post_id"], "upload_id": upload["upload_id"]}
    told = {
        "owner creates": client.post(CREATE, json=video, headers=mine),
        "owner sends": client.put(f"{of_mine}/content", data=b"mine", headers=upload["headers"]),
        "create": client.post(CREATE, json=video, headers=theirs),
        "create of the upload": client.post(CREATE, json=made_of_mine, headers=theirs),
        "complete": client.post(f"{of_mine}/complete", headers=theirs),
        "send": client.put(f"{of_mine}/content", data=b"evil", headers=own["headers"]),
        "look": client.get(of_mine, headers=own["headers"]),
        "give up": client.delete(of_mine, headers=own["headers"]),
    }
    return {tried: answer.status_code for tried, answer in told.items()}


def fate_of_a_named_original(client: FlaskClient) -> tuple[int, str]:
    """What a stranger is told who names an owner's original, and what the worker makes of it."""
    mine, theirs = _bearers()
    upload = _issue(client, mine)
    content = f"{UPLOADS}/{upload['upload_id']}/content"
    client.put(content, data=b"mine", headers=upload["headers"])
    key = source_key(OWNER, UUID(upload["post_id"]), UUID(upload["upload_id"]), "mp4")
    post_id = str(uuid4())
    named = {"post_id": post_id, "source_url": f"storage:{key}"}
    created = client.post(CREATE, json=named, headers=theirs)
    if created.status_code == HTTPStatus.ACCEPTED:
        _work(UUID(created.get_json()["id"]))
    seen = client.get(f"{ASSETS}/{post_id}", headers=theirs).get_json()
    return created.status_code, seen.get("error_code", "")


def _work(asset_id: UUID) -> None:
    worker = build_services(load_settings(WorkerSettings))
    submit(worker, asset_id)
    worker.close()


def _bearers() -> tuple[dict[str, str], dict[str, str]]:
    mine, theirs = ({"Authorization": f"Bearer {token(who)}"} for who in (OWNER, STRANGER))
    return mine, theirs


def _issue(client: FlaskClient, bearer: dict[str, str]) -> dict[str, Any]:
    file = {"post_id": str(uuid4()), "filename": "a.mp4", "size_bytes": 4}
    issued = client.post(UPLOADS, json=file | {"mime_type": "video/mp4"}, headers=bearer)
    answer: dict[str, Any] = issued.get_json()
    return file | answer


if __name__ == "__main__":
    app = create_app()
    client = app.test_client()
    print(json.dumps([answers(client), fate_of_a_named_original(client)]))
    app.extensions[EXTENSION].close()
