"""A fake of direct uploads: parts are counted and discarded."""

from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from math import ceil
from typing import Any
from uuid import UUID, uuid4

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel

from api.documents.upload_schemas import (
    PartOut,
    PartPlanOut,
    PartRequestOut,
    ProgressOut,
    TicketOut,
)
from tests.browser.fake_api import STARTED_AT, FakeApi, asset

LIFE = timedelta(days=1)
PARTS = 4
"""The parts of a file: one more than the composer sends at once."""
TICKET = {"X-Upload-Token": "a-ticket"}


@dataclass
class FakeUpload:
    """One upload.

    Attributes:
        part_bytes: The size of each part but the last.
        arrived: The size of each part that has arrived.
    """

    id: UUID
    post_id: UUID
    size_bytes: int
    part_bytes: int
    arrived: dict[int, int] = field(default_factory=dict)
    is_complete: bool = False


@dataclass
class FakeUploads:
    """All uploads, and the refusals that the test sets.

    Attributes:
        refusals: Status, code and sentence, by the last segment of the path.
        held: Numbers of parts that are not answered.
        known: The uploads that were not abandoned.
        sent: The numbers of the parts that arrived, in order of arrival.
        created: The bodies of the create requests.
        keys: The upload of each Idempotency-Key.
    """

    refusals: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)
    known: dict[str, FakeUpload] = field(default_factory=dict)
    sent: list[int] = field(default_factory=list)
    created: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    api: FakeApi = field(init=False)

    def routes(self, api: FakeApi) -> Blueprint:
        """Return the routes of uploads."""
        self.api = api
        routes = Blueprint("uploads", __name__)
        routes.before_request(self._refuse)
        one = "/api/uploads/<upload>"
        part = f"{one}/parts/<int:number>"
        routes.post("/api/uploads")(self._issue)
        routes.get(one)(self._progress)
        routes.delete(one)(self._abandon)
        routes.post(f"{one}/parts")(self._sign)
        routes.put(part)(self._receive)
        routes.post(part)(self._confirm)
        routes.post(f"{one}/complete")(self._complete)
        routes.post("/api/video-assets/create")(self._create)
        routes.get("/api/video-assets/<uuid:post>")(self._video)
        routes.delete("/api/video-assets/<uuid:post>")(self._delete)
        return routes

    def _refuse(self) -> Response | None:
        refusal = self.refusals.get(request.path.rpartition("/")[2])
        if refusal is None or request.method == "OPTIONS":
            return None
        status, code, detail = refusal
        return _document({"code": code, "detail": detail}, status)

    def _issue(self) -> Response:
        body: dict[str, Any] = request.get_json()
        size_bytes: int = body["size_bytes"]
        upload = FakeUpload(uuid4(), UUID(body["post_id"]), size_bytes, ceil(size_bytes / PARTS))
        self.known[str(upload.id)] = upload
        return _document(
            TicketOut(
                upload_id=upload.id,
                method=None,
                url=None,
                headers=TICKET,
                parts=PartPlanOut(
                    size_bytes=upload.part_bytes,
                    count=PARTS,
                    url=f"{self.api.url}/api/uploads/{upload.id}/parts",
                ),
                expires_at=STARTED_AT + LIFE,
            )
        )

    def _progress(self, upload: str) -> Response:
        known = self.known[upload]
        return _document(
            ProgressOut(
                upload_id=known.id,
                post_id=known.post_id,
                size_bytes=known.size_bytes,
                received_bytes=sum(known.arrived.values()),
                part_size_bytes=known.part_bytes,
                part_count=PARTS,
                parts=[
                    PartOut(number=number, size_bytes=size, etag="e")
                    for number, size in sorted(known.arrived.items())
                ],
                expires_at=STARTED_AT + LIFE,
                completed_at=STARTED_AT if known.is_complete else None,
            )
        )

    def _sign(self, upload: str) -> Response:
        known = self.known[upload]
        requests = [
            PartRequestOut(
                number=number,
                size_bytes=known.part_bytes,
                method="PUT",
                url=f"{self.api.url}/api/uploads/{upload}/parts/{number}",
                headers={},
            )
            for number in request.get_json()["numbers"]
        ]
        return jsonify(parts=[each.model_dump(mode="json") for each in requests])

    def _receive(self, upload: str, number: int) -> Response:
        size_bytes = len(request.get_data())
        if number in self.held:
            self.api.closing.wait()
        self.sent.append(number)
        self.known[upload].arrived[number] = size_bytes
        return Response(headers={"ETag": '"e"'})

    def _confirm(self, upload: str, number: int) -> Response:
        return jsonify(number=number, size_bytes=self.known[upload].arrived[number], etag="e")

    def _complete(self, upload: str) -> Response:
        self.known[upload].is_complete = True
        return jsonify({})

    def _create(self) -> Response:
        told: dict[str, Any] = request.get_json()
        key = request.headers.get("Idempotency-Key")
        if key is not None and self.keys.setdefault(key, told) != told:
            return _document({"code": "idempotency_mismatch"}, HTTPStatus.UNPROCESSABLE_ENTITY)
        self.created.append(told)
        made = asset("", "queued", id=told["upload_id"], post_id=told["post_id"])
        self.api.put(made)
        return _document(made, HTTPStatus.ACCEPTED)

    def _video(self, post: UUID) -> Response:
        return _document(self.api.assets[str(post)])

    def _delete(self, post: UUID) -> Response:
        return _document(self.api.assets.pop(str(post)), HTTPStatus.ACCEPTED)

    def _abandon(self, upload: str) -> Response:
        if self.known[upload].is_complete:
            return _document({"code": "upload_completed"}, HTTPStatus.CONFLICT)
        del self.known[upload]
        return Response(status=HTTPStatus.NO_CONTENT)


def _document(content: BaseModel | dict[str, Any], status: int = HTTPStatus.OK) -> Response:
    answer = jsonify(content.model_dump(mode="json") if isinstance(content, BaseModel) else content)
    answer.status_code = status
    return answer
