"""A small site: a feed, a page for each post, a composer.

Its server keeps posts and signs visitors in. The elements in its pages come from the API's address
and call the API from the browser with the tokens that this server signs.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    jsonify,
    render_template,
    request,
    send_file,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from examples.site.posts import USERS, Post, Posts
from examples.site.settings import SiteSettings
from examples.site.visitors import mint, refuse_other_machines, sign_in, visitor

SAMPLE = Path(__file__).resolve().parents[2] / "tests" / "media" / "big-buck-bunny-720p-5s.mp4"
MAX_BODY_BYTES = 16 * 1024
EXTENSION = "khronika_site"
REFUSED = 3
"""Exit code of a refused start. After another code gunicorn would start its worker again."""
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self' {api}; connect-src 'self' {foreign}; "
    "img-src 'self' data: blob: {foreign}; media-src 'self' blob: {foreign}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the pages; docs/ui.md lists the needs of the elements."""

blueprint = Blueprint("site", __name__)


class PostBody(BaseModel):
    """A post with a video, as its author publishes it."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    text: Annotated[str, Field(max_length=500)] = ""
    width: Annotated[int, Field(ge=1, le=16384)] | None = None
    height: Annotated[int, Field(ge=1, le=16384)] | None = None


def create_app(settings: SiteSettings | None = None) -> Flask:
    """Make the application.

    Args:
        settings: None reads the environment.

    Raises:
        SystemExit: A setting is missing or wrong; the reason has been printed.
    """
    app = Flask("examples.site")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    try:
        app.extensions[EXTENSION] = settings or SiteSettings()
    except ValidationError as error:
        print(f"khronika site: {_reasons(error)}", file=sys.stderr)  # noqa: T201 - there is no log
        raise SystemExit(REFUSED) from None
    app.before_request(lambda: refuse_other_machines(_settings()))
    app.after_request(_seal)
    app.register_blueprint(blueprint)
    return app


def _reasons(error: ValidationError) -> str:
    """Return a clause for each wrong setting, without its value."""
    prefix = SiteSettings.model_config["env_prefix"]
    names = (str(each["loc"][0]).upper() for each in error.errors())
    variables = (name if name.startswith("KHRONIKA_") else f"{prefix}{name}" for name in names)
    return "; ".join(
        f"{name}: {each['msg']}" for name, each in zip(variables, error.errors(), strict=True)
    )


def _settings() -> SiteSettings:
    settings: SiteSettings = current_app.extensions[EXTENSION]
    return settings


def _posts() -> Posts:
    return Posts(_settings().posts)


def _seal(response: Response) -> Response:
    api, *_ = foreign = _settings().foreign_origins
    response.headers["Content-Security-Policy"] = POLICY.format(api=api, foreign=" ".join(foreign))
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@blueprint.get("/")
def feed() -> str:
    """Show every post."""
    return _page("feed.html", posts=_posts().newest_first())


@blueprint.get("/posts/<uuid:post_id>")
def post(post_id: UUID) -> str:
    """Show one post."""
    found = _posts().find(post_id)
    if found is None:
        abort(404)
    return _page("post.html", post=found)


@blueprint.get("/compose")
def compose() -> str:
    """Show the form for a post with a video."""
    return _page("compose.html")


def _page(template: str, **values: Any) -> str:
    return render_template(template, users=USERS, visitor=visitor(), settings=_settings(), **values)


@blueprint.post("/posts")
def publish() -> Response:
    """Keep a post of the visitor; a second one with the same id replaces it.

    Pages of other origins cannot send JSON here: their browser's preflight request is refused.
    """
    if not request.is_json:
        abort(415)
    try:
        body = PostBody.model_validate_json(request.get_data())
    except ValidationError:
        abort(422)
    new = Post(**body.model_dump(), author=visitor(), kind="video", created_at=datetime.now(UTC))
    if not _posts().put(new):
        abort(404)
    return Response(status=204)


@blueprint.delete("/posts/<uuid:post_id>")
def withdraw(post_id: UUID) -> Response:
    """Remove a post of the visitor."""
    _posts().remove(post_id, visitor())
    return Response(status=204)


@blueprint.post("/user")
def switch() -> Response:
    """Make the visitor the user that the form names."""
    return sign_in(request.form.get("user", ""))


@blueprint.get("/token")
def token() -> Response:
    """Give the visitor's pages a token for the API."""
    signed, expires_at = mint(_settings(), visitor())
    return jsonify(token=signed, expires_at=expires_at.isoformat())


@blueprint.get("/sample.mp4")
def sample() -> Response:
    """Give the sample clip, at an address such as old posts have."""
    if not SAMPLE.is_file():
        abort(404)
    return send_file(SAMPLE, mimetype="video/mp4", conditional=True)
