"""A stranger's requests about an owner's video and upload; for a process of its own.

``python -m tests.mutations.trespass`` prints how each was answered. The product is the first
``pipeline`` on the path; settings are the environment's.
"""

import json
from typing import Any
from uuid import uuid4

from flask.testing import FlaskClient

from api.app import create_app
from api.services import EXTENSION
from tests.integration.api.conftest import OWNER, SOURCE, STRANGER, token

CREATE, UPLOADS = "/api/video-assets/create", "/api/uploads"


def answers(client: FlaskClient) -> dict[str, int]:
    """What the owner and then the stranger are told, by what was tried."""
    mine, theirs = ({"Authorization": f"Bearer {token(who)}"} for who in (OWNER, STRANGER))
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


def _issue(client: FlaskClient, bearer: dict[str, str]) -> dict[str, Any]:
    file = {"post_id": str(uuid4()), "filename": "a.mp4", "size_bytes": 4}
    issued = client.post(UPLOADS, json=file | {"mime_type": "video/mp4"}, headers=bearer)
    answer: dict[str, Any] = issued.get_json()
    return file | answer


if __name__ == "__main__":
    app = create_app()
    print(json.dumps(answers(app.test_client())))
    app.extensions[EXTENSION].close()
