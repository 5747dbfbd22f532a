"""Headers that only a proxy may write, sent by a client."""

from tests.attack.rows import Row
from tests.attack.target import Target
from tests.integration.api.test_forwarded_headers import CHANGED, OTHER_HOST, SECURE

HIDDEN = ("/metrics", "/ops/sign-in", "/docs", "/openapi.json")


def attack(target: Target) -> list[Row]:
    """Ask for pages of operators, and for another path, method or host, by a header."""
    rows = [
        Row("header tricks", f"{path} by {headers}", "404", _status(target, path, headers))
        for headers in (*CHANGED, *SECURE, *OTHER_HOST)
        for path in HIDDEN
    ]
    for headers in OTHER_HOST:
        answer = target.call("GET", "/healthz", headers=headers)
        shown = "evil.example" in f"{answer.headers}{answer.text}"
        rows.append(Row("header tricks", f"a host by {headers}", "False", str(shown)))
    return rows


def _status(target: Target, path: str, headers: dict[str, str]) -> str:
    return str(target.call("GET", path, headers=headers).status_code)
