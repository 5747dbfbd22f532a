import re
from typing import Any

import pytest
from flask import Flask, template_rendered
from jinja2 import Template

from tests.integration.api.conftest import Client

ANSWERS = [
    ("GET", "/healthz", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/docs", 200),
    ("GET", "/metrics", 200),
    ("GET", "/nothing-here", 404),
    ("POST", "/api/video-assets/create", 401),
    ("GET", "/media/public/processed/none.mp4", 404),
    ("GET", "/media/videos/00000000-0000-0000-0000-000000000000/poster.jpg", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_no_answer_lets_a_browser_guess_frame_or_load_anything(
    api: Client, method: str, path: str, status: int
) -> None:
    answer = api.call(method, path, as_=None)
    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Frame-Options"] == "DENY"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy


def test_the_pages_own_style_is_allowed_by_a_nonce_that_is_never_used_twice(api: Client) -> None:
    nonces = set()
    for _ in range(2):
        page = api.get("/docs", as_=None)
        allowed = re.search(r"style-src 'nonce-([^']+)'", page.headers["Content-Security-Policy"])
        assert allowed is not None
        assert f'<style nonce="{allowed[1]}">' in page.text
        nonces.add(allowed[1])
    assert len(nonces) == 2


def test_the_page_is_written_out_once_whoever_asks(api: Client) -> None:
    rendered: list[str] = []

    def note(_app: Flask, template: Template, **_context: Any) -> None:
        rendered.append(str(template.name))

    with template_rendered.connected_to(note, api.app):
        for _ in range(3):
            assert api.get("/docs", as_=None).status_code == 200
    assert rendered == ["docs.html"]
