"""Requests that the API turns away, each for another reason and each with secrets in it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import psycopg

from cli.environment import make_token
from tests.acceptance.exchanges import Exchange, send
from tests.acceptance.stage import OWNER, Stage

ASSETS = "/api/video-assets"
CREATE = f"{ASSETS}/create"

STATUSES = frozenset({400, 401, 403, 404, 405, 409, 413, 415, 422, 500})
"""What the answers of `provoke` have."""


def provoke(stage: Stage, failed_post: str) -> Iterator[Exchange]:
    """Ask for every kind of refusal, 500 included.

    Args:
        failed_post: A post whose video failed.
    """
    environment = stage.stack.environment
    secret = environment["KHRONIKA_SECRET_KEY"]
    for credential in _bad_credentials(environment):
        yield _ask(stage, "POST", CREATE, {"post_id": secret}, Authorization=credential)
    yield _ask(stage, "GET", f"{ASSETS}/{uuid4()}")
    yield _ask(stage, "GET", f"{ASSETS}/{uuid4()}/nothing")
    yield _ask(stage, "PUT", CREATE)
    yield _ask(stage, "POST", f"{ASSETS}/{failed_post}/reencode")
    yield _ask(stage, "GET", f"/media/{uuid4()}/source.mp4")
    url = f"https://user:{secret}@nowhere.example/{secret}.mp4"
    wrong = {"post_id": secret, "source_url": url, "title": [secret]}
    yield _ask(stage, "POST", CREATE, wrong)
    yield _ask(stage, "POST", CREATE, {"post_id": str(uuid4()), "source_url": url})
    yield _ask(stage, "GET", f"{ASSETS}?status=failed&limit={secret}")
    headers = {"Authorization": f"Bearer {stage.stack.token(OWNER)}"}
    address = stage.stack.base_url + CREATE
    yield send("POST", address, headers={**headers, "Content-Type": "text/plain"}, body=b"x")
    in_json = {**headers, "Content-Type": "application/json"}
    yield send("POST", address, headers=in_json, body=f'{{"post_id": "{secret}'.encode())
    yield send("POST", address, headers=in_json, body=b'"' + b"x" * 2_000_000 + b'"')
    unsigned = {"webhook-signature": environment["KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS"]}
    yield stage.call_back(unsigned, json.dumps(secret).encode())
    with _broken(environment["DATABASE_URL"]):
        yield _ask(
            stage,
            "POST",
            CREATE,
            {"post_id": str(uuid4()), "source_url": f"{stage.sources.url}/x.mp4"},
            **{"Idempotency-Key": secret},
        )


def _bad_credentials(environment: Mapping[str, str]) -> Iterator[str]:
    [issuer] = json.loads(environment["KHRONIKA_JWT_ISSUERS"])
    of_issuer = {
        "KHRONIKA_JWT_SECRET": issuer["secret"],
        "KHRONIKA_JWT_ISSUER": issuer["issuer"],
        "KHRONIKA_JWT_AUDIENCE": issuer["audience"],
    }
    expired = make_token(environment, OWNER, life_sec=-3600)
    yield from (f"Bearer {expired}", "Bearer x.y.z", f"Basic {uuid4()}", expired)
    yield f"Bearer {make_token(of_issuer, OWNER, life_sec=-3600)}"
    yield f"Bearer {make_token(of_issuer, OWNER, role='service_role')}"
    yield f"Bearer {issuer['secret']}"
    yield f"Bearer {environment['KHRONIKA_SELFHOSTED_TOKEN']}"
    yield f"Bearer khv_{environment['KHRONIKA_SECRET_KEY']}"


def _ask(stage: Stage, method: str, path: str, document: object = None, **headers: str) -> Exchange:
    return send(
        method,
        stage.stack.base_url + path,
        headers={
            "Authorization": f"Bearer {stage.stack.token(OWNER)}",
            "Content-Type": "application/json",
            **headers,
        },
        body=b"" if document is None else json.dumps(document).encode(),
    )


@contextmanager
def _broken(owner_url: str) -> Iterator[None]:
    """Keys of idempotency have nowhere to go meanwhile: nobody else here sends any."""
    rename = "ALTER TABLE {} RENAME TO {}"
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(rename.format("idempotency_keys", "idempotency_keys_away"))
        try:
            yield
        finally:
            owner.execute(rename.format("idempotency_keys_away", "idempotency_keys"))
