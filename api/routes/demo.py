"""A small site that uses the product as any site would: a feed, a post's page, a composer.

For development, where ``KHRONIKA_DEMO`` is set; nowhere else does it exist. Its pages talk to the
public API from the browser; what is here is only what a site has of its own: posts and sign-in.
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, abort, jsonify, render_template, request, send_file
from pydantic import Field

from api.demo_posts import USERS, DemoPost, DemoPosts
from api.demo_session import mint, only_here, sign_in, visitor
from api.documents.schemas import Body, Pixels, Text
from api.http.problems import Problem
from api.http.security_headers import PAGE, page_with
from api.routes.web import ROOT
from api.wiring.services import services

blueprint = APIBlueprint("demo", __name__, enable_openapi=False)
blueprint.before_request(only_here)

SAMPLE = ROOT.parent / "tests" / "media" / "big-buck-bunny-720p-5s.mp4"


class PostBody(Body):
    """A post with a video, as its author publishes it."""

    id: UUID
    text: Annotated[Text, Field(max_length=500)] = ""
    width: Pixels | None = None
    height: Pixels | None = None


@blueprint.after_request
def _seal(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _policy()
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _policy() -> str:
    """That of our pages; to a bucket parts go directly, and from it come pictures and segments."""
    address = services().storage.presign_get("any", expires_sec=1)
    if address is None:
        return PAGE
    parts = urlsplit(address)
    return page_with(f"{parts.scheme}://{parts.netloc}")


@blueprint.get("/")
def feed() -> str:
    """Every post."""
    return _page("feed.html", posts=_posts().newest_first())


@blueprint.get("/posts/<uuid:post_id>")
def post(post_id: UUID) -> str:
    """One post."""
    found = _posts().find(post_id)
    if found is None:
        abort(404)
    return _page("post.html", post=found)


@blueprint.get("/compose")
def compose() -> str:
    """Where a post with a video is made."""
    settings = services().settings
    return _page(
        "compose.html",
        max_bytes=settings.source_max_bytes,
        max_duration_sec=settings.source_max_duration_sec,
    )


def _page(template: str, **shown: Any) -> str:
    # For so long after a post was made its video may still be on its way.
    upload_lives = timedelta(seconds=services().settings.upload_expires_sec)
    shown |= {"users": USERS, "visitor": visitor(), "upload_lives": upload_lives}
    return render_template(f"demo/{template}", **shown)


@blueprint.post("/demo/posts")
@blueprint.input(PostBody)
def publish(json_data: PostBody) -> Response:
    """Keep a post of the visitor's; again with the same id, it is the same post."""
    new = DemoPost(
        **json_data.model_dump(), author=visitor(), kind="video", created_at=datetime.now(UTC)
    )
    if not _posts().put(new):
        raise Problem(HTTPStatus.NOT_FOUND, "post_not_found", "There is no such post of yours.")
    return Response(status=HTTPStatus.NO_CONTENT)


@blueprint.delete("/demo/posts/<uuid:post_id>")
def withdraw(post_id: UUID) -> Response:
    """Remove a post of the visitor's."""
    _posts().remove(post_id, visitor())
    return Response(status=HTTPStatus.NO_CONTENT)


@blueprint.post("/demo/user")
def switch() -> Response:
    """Be the other user."""
    return sign_in(request.form.get("user", ""))


@blueprint.get("/demo/token")
def token() -> Response:
    """What the site gives its signed-in visitor's pages for the API."""
    signed, expires_at = mint()
    return jsonify(token=signed, expires_at=expires_at.isoformat())


@blueprint.get("/demo/sample.mp4")
def sample() -> Response:
    """The sample clip: an address such as old posts have."""
    if not SAMPLE.is_file():
        abort(404)
    return send_file(SAMPLE, mimetype="video/mp4", conditional=True)


def _posts() -> DemoPosts:
    return DemoPosts(services().settings.home / "demo-posts.json")
