"""Requests that an upload's ticket authorises; it names the upload and its owner."""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from http import HTTPStatus
from uuid import UUID

from flask import request

from api.access.work_at_once import take_for_owner
from api.http.problems import Problem
from api.wiring.services import services
from pipeline.domain.errors import NotFound
from pipeline.records import queries
from pipeline.records.upload_rows import Begin
from pipeline.runtime.database import session_of, user_session
from pipeline.uploads.parts import Digests
from pipeline.uploads.tickets import holder_of_ticket

TICKET_HEADER = "X-Upload-Token"
CHUNK_BYTES = 256 * 1024
UNBOUNDED = 2**63
"""The ticket bounds the content; the limit for JSON bodies does not apply."""

SHA_256 = re.compile(r"(?:^|,)\s*sha-256=:(?P<digest>[^:]*):")
"""One member of a ``Content-Digest`` (RFC 9530, 2): a byte sequence of RFC 8941."""


def ticket_session(upload_id: UUID) -> Begin:
    """Return the opener of transactions of the owner whose ticket the request carries.

    Raises:
        NotFound: ``upload_not_found``: the ticket is absent, belongs to another upload, or was
            given to an API key that has been revoked.
    """
    here = services()
    token = request.headers.get(TICKET_HEADER, "")
    holder = holder_of_ticket(token, upload_id, key=here.settings.media_urls.accepted_keys)
    if holder.api_key_id is not None:
        with session_of(here.engines.api) as session:
            if not queries.keys_in_force(session, [holder.api_key_id]):
                raise NotFound("upload_not_found")
    take_for_owner(holder.owner_id)
    return lambda: user_session(here.engines.api, holder.owner_id)


def body_chunks() -> Iterator[bytes]:
    """Yield the body as it arrives, of any length."""
    request.max_content_length = UNBOUNDED
    while chunk := request.stream.read(CHUNK_BYTES):
        yield chunk


def sent_digests() -> Digests:
    """Return the digests of the body in the request's headers.

    Raises:
        Problem: 400 ``checksum_invalid``.
    """
    sha_256 = SHA_256.search(request.headers.get("Content-Digest", ""))
    return Digests(
        sha256=_bytes(sha_256["digest"], 32) if sha_256 else None,
        md5=_bytes(request.headers["Content-MD5"], 16)
        if "Content-MD5" in request.headers
        else None,
    )


def _bytes(text: str, length: int) -> bytes:
    try:
        digest = b64decode(text, validate=True)
    except (NotBase64, ValueError):
        digest = b""
    if len(digest) != length:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "checksum_invalid",
            "The digest is not base64 of the right length.",
        )
    return digest
