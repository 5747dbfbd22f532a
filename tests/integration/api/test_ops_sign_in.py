"""Who gets into the console, for how long, and what nobody does without its forms."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from pipeline.access.api_keys import NewKey, make_key, revoke_key
from pipeline.access.operator_links import LIFE_SEC, sign_link
from pipeline.records.models import AuditEvent
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import OWNER, SECRET_KEY, Client, World, serving, token
from tests.integration.api.operator import Operator, Page, signed_in

PAGES = (
    "/ops",
    "/ops/accounts",
    "/ops/failed",
    "/ops/failed/retry?all=1",
    "/ops/inbox",
    "/ops/audit",
    "/ops/x",
)


def test_who_has_not_signed_in_is_asked_to_and_comes_back_to_where_they_were_going(
    api: Client,
) -> None:
    for path in PAGES:
        operator = Operator(api)
        refused = operator.get(path, allow_redirects=False)
        assert refused.status == 303
        asked = refused.answer.headers["Location"]
        page = operator.sign_in(token("ops", role="service_role"), asked)
        assert page.answer.url == api.url + path


def test_a_form_that_nobody_signed_in_sends_does_nothing(api: Client, world: World) -> None:
    asset = world.fail(api.create().json()["id"])
    refused = Operator(api).post(f"/ops/assets/{asset.id}/retry", {})
    assert refused.answer.history[0].status_code == 303
    assert world.asset(str(asset.id)).status == "failed"


ELSEWHERE = (
    *("https://evil.example/ops", "//evil.example/ops", "/\\evil.example/ops"),
    *("/ops/../api", "/ops\\@evil.example", "javascript:alert(1)", "/opsy", ""),
    *("/ops/%2e%2e/api", "/ops/%252e%252e/api", "/ops/.%2E/api", "/ops/%5c%5cevil.example"),
    *("/%2f/evil.example", "/ops//evil.example", "/ops/./assets", "/ops/..", "///evil.example/ops"),
    *("\t//evil.example/ops", "/ops/%0d%0aX-Evil:1", "/ops/%00", "ops/assets", "/ops/%e2%80%ae"),
    *("/ops/../..//evil.example", "%2f%2fevil.example", "/ops/%2f%2fevil.example", "/%09/evil"),
    *("/ops/..%2f..%2f/evil.example", "/ops/%252f%252fevil.example", "/ops%2f..%2fapi", "\\\\evil"),
    *("/ops?x=\x01", "/ops?\u202e", "/ops\x7f", "/ops/\x85", "http:/ops", "//ops", "/ops;@evil//"),
    # A link there would ask to sign in once more, as somebody else.
    *("/ops/sign-in", "/ops/sign-in?link=x", "/ops/sign-in/", "/ops/sign%2din"),
)


def test_signing_in_leads_to_no_other_place_than_the_console(api: Client) -> None:
    pasted = token("ops", role="service_role")
    for elsewhere in ELSEWHERE:
        operator = Operator(api)
        form = operator.get("/ops/sign-in", params={"next": elsewhere}).form("/ops/sign-in")
        assert dict(form.fields)["next"] == "/ops"
        fields = {**dict(form.fields), "next": elsewhere, "token": pasted}
        answer = operator.http.post(
            f"{api.url}/ops/sign-in", data=fields, allow_redirects=False, timeout=60
        )
        assert (answer.status_code, answer.headers["Location"]) == (303, "/ops")


@pytest.mark.parametrize(
    ("pasted", "status", "code"),
    [
        ("", 401, "token_missing"),
        ("nonsense", 401, "token_invalid"),
        (token("ops", role="service_role", key="x" * 32), 401, "token_invalid"),
        (token("ops", role="service_role", exp=1), 401, "token_expired"),
        (token(OWNER), 403, "role_not_allowed"),
        (f"khv_{uuid4().hex}_{'a' * 43}", 401, "token_invalid"),
    ],
    ids=["nothing", "nonsense", "a stranger's", "an old one", "an owner's", "no key of ours"],
)
def test_what_is_no_operators_lets_nobody_in(
    api: Client, pasted: str, status: int, code: str
) -> None:
    operator = Operator(api)
    page = operator.sign_in(pasted)
    assert page.status == status
    assert code in page.text
    if pasted:
        assert pasted not in page.answer.text
    assert operator.get("/ops").answer.url != f"{api.url}/ops"


@pytest.mark.parametrize(("public_url", "secure"), [("http", False), ("https", True)])
def test_the_cookie_is_for_our_pages_alone_and_ends_with_the_token(
    api: Client, monkeypatch: pytest.MonkeyPatch, public_url: str, *, secure: bool
) -> None:
    monkeypatch.setitem(
        api.services.settings.media_urls.__dict__, "base_url", f"{public_url}://videos.example"
    )
    operator = Operator(api)
    form = operator.get("/ops/sign-in").form("/ops/sign-in")
    fields = {**dict(form.fields), "token": token("ops", role="service_role", exp=time.time() + 90)}
    answer = operator.http.post(
        f"{api.url}/ops/sign-in",
        data=fields,
        headers={"Cookie": f"khronika_ops={operator.cookie.value}"},
        allow_redirects=False,
        timeout=60,
    )
    given = answer.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/ops"} <= set(given)
    assert ("Secure" in given) is secure
    [life] = [part.removeprefix("Max-Age=") for part in given if part.startswith("Max-Age=")]
    assert 60 < int(life) <= 90


def test_a_session_lasts_a_working_day_at_most(api: Client) -> None:
    operator = signed_in(api, exp=int(time.time()) + 10**6)
    cookie = operator.cookie
    assert cookie.expires is not None
    assert cookie.expires - time.time() <= 8 * 3600


def test_a_session_that_has_ended_opens_nothing_whatever_the_browser_keeps(api: Client) -> None:
    operator = Operator(api)
    form = operator.get("/ops/sign-in").form("/ops/sign-in")
    # The clocks of issuer and API may differ, so this token is accepted. Its session has ended.
    ended = token("ops", role="service_role", exp=int(time.time()) - 1)
    answer = operator.http.post(
        f"{api.url}/ops/sign-in",
        data={**dict(form.fields), "token": ended},
        headers={"Cookie": f"khronika_ops={operator.cookie.value}"},
        allow_redirects=False,
        timeout=60,
    )
    assert answer.status_code == 303
    [value] = re.findall("khronika_ops=([^;]+)", answer.headers["Set-Cookie"])
    page = Operator(api).get(
        "/ops", headers={"Cookie": f"khronika_ops={value}"}, allow_redirects=False
    )
    assert page.status == 303


@pytest.mark.parametrize("change", ["flip", "cut"])
def test_a_cookie_that_was_tampered_with_is_nobodys(api: Client, change: str) -> None:
    operator = signed_in(api)
    cookie = operator.cookie
    value = cookie.value or ""
    forged = value[:8] + ("A" if value[8] != "A" else "B") + value[9:]
    forged = forged if change == "flip" else value[:-4]
    answer = Operator(api).get(
        "/ops", headers={"Cookie": f"khronika_ops={forged}"}, allow_redirects=False
    )
    assert answer.status == 303


def test_a_key_of_operators_signs_in_until_it_is_revoked(api: Client) -> None:
    engine = api.services.engines.operator
    with session_of(engine) as session:
        made = make_key(
            session, NewKey("desk", None, ["operator"]), actor="operator:o", source=None
        )
    operator = Operator(api)
    assert operator.sign_in(made.key).status == 200
    assert operator.get("/ops", allow_redirects=False).status == 200
    with session_of(engine) as session:
        revoke_key(session, made.row.id, actor="operator:o", source=None)
    assert operator.get("/ops", allow_redirects=False).status == 303


def test_signing_out_ends_it(api: Client) -> None:
    operator = signed_in(api)
    page = operator.submit(operator.get("/ops").form("/ops/sign-out"))
    assert page.answer.url == f"{api.url}/ops/sign-in"
    assert operator.get("/ops", allow_redirects=False).status == 303


@pytest.mark.parametrize("csrf", [None, "", "guessed", "another's"])
def test_a_form_without_its_sessions_token_is_refused(
    api: Client, world: World, csrf: str | None
) -> None:
    asset = world.fail(api.create().json()["id"])
    if csrf == "another's":
        fields = signed_in(api).get("/ops").form("/ops/sign-out").fields
        csrf = dict(fields)["csrf"]
    operator = signed_in(api)
    path = f"/ops/assets/{asset.id}/retry"
    refused = operator.post(path, {} if csrf is None else {"csrf": csrf})
    assert refused.status == 403
    assert "form_expired" in refused.text
    assert world.asset(str(asset.id)).status == "failed"


def test_signing_in_itself_needs_the_form(api: Client) -> None:
    operator = Operator(api)
    refused = operator.post("/ops/sign-in", {"token": token("ops", role="service_role")})
    assert (refused.status, "form_expired" in refused.text) == (403, True)


def test_who_only_reads_sees_everything_and_changes_nothing(api: Client, world: World) -> None:
    asset = world.fail(api.create(title="Tusheti").json()["id"])
    reader = signed_in(api, "operator_read")
    for path in (
        "/ops",
        "/ops/failed",
        f"/ops/assets/{asset.id}",
        "/ops/inbox",
        "/ops/accounts",
        "/ops/audit",
    ):
        page = reader.get(path)
        assert page.status == 200
        assert page.actions() == {"/ops/sign-out"}
        assert not [link for link in page.links if link.endswith("/retry")]
    csrf = dict(reader.get("/ops").form("/ops/sign-out").fields)["csrf"]
    for path in (
        f"/ops/assets/{asset.id}/retry",
        "/ops/failed/retry",
        "/ops/accounts/selfhosted/drain",
    ):
        refused = reader.post(path, {"csrf": csrf})
        assert (refused.status, "role_not_allowed" in refused.text) == (403, True)
    assert world.asset(str(asset.id)).status == "failed"
    assert reader.submit(reader.get("/ops").form("/ops/sign-out")).status == 200


def link(api: Client, *, reads_only: bool = False, seconds_ago: float = 0) -> str:
    now = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return "/ops/sign-in?link=" + sign_link(SECRET_KEY, "nino", reads_only=reads_only, now=now)


def test_a_link_signs_in_once_and_looking_at_it_uses_nothing_up(api: Client) -> None:
    address = link(api)
    operator, late = Operator(api), Operator(api)
    shown, also_shown = operator.get(address), late.get(address)
    assert "nino" in shown.text
    assert operator.submit(shown.form("/ops/sign-in")).answer.url == f"{api.url}/ops"
    again = late.submit(also_shown.form("/ops/sign-in"))
    assert (again.status, "link_invalid" in again.text) == (401, True)
    with session_of(api.services.engines.operator) as session:
        chosen = select(AuditEvent).where(AuditEvent.type == "signed_in")
        [entry] = session.scalars(chosen).all()
    assert (entry.type, entry.actor) == ("signed_in", "operator:nino")
    assert entry.detail == {"role": "service_role", "how": "link"}


def test_a_link_is_over_after_a_minute_and_may_be_for_reading_alone(api: Client) -> None:
    over = Operator(api).get(link(api, seconds_ago=LIFE_SEC + 1))
    assert (over.status, "link_invalid" in over.text) == (401, True)
    reader = Operator(api)
    page = reader.submit(reader.get(link(api, reads_only=True)).form("/ops/sign-in"))
    assert "reads only" in page.text


def test_tokens_are_not_guessed_by_the_hundred(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHRONIKA_LIMIT_SIGN_IN", "3/minute")
    with serving(monkeypatch) as api:
        operator = Operator(api)
        assert [operator.sign_in("wrong").status for _ in range(4)] == [401, 401, 401, 429]
        refused = operator.sign_in(token("ops", role="service_role"))
        assert (refused.status, "rate_limited" in refused.text) == (429, True)


def test_no_page_is_kept_framed_or_given_anything_inline(api: Client, world: World) -> None:
    asset = api.create().json()
    world.complete(asset["id"])
    operator = signed_in(api)
    for path in (*PAGES, "/ops/sign-in", f"/ops/assets/{asset['id']}"):
        _hold_to_its_policy(operator.get(path))


def _hold_to_its_policy(page: Page) -> None:
    headers = page.answer.headers
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "style" not in {*page.tags, *page.attributes}
    assert not [name for name in page.attributes if name.startswith("on")]


def test_after_signing_out_a_copy_of_the_cookie_opens_nothing(api: Client) -> None:
    operator, other = signed_in(api), signed_in(api)
    copy = {"Cookie": f"{operator.cookie.name}={operator.cookie.value}"}
    reader = Operator(api)
    assert reader.get("/ops", headers=copy, allow_redirects=False).status == 200

    operator.submit(operator.get("/ops").form("/ops/sign-out"))

    refused = reader.get("/ops", headers=copy, allow_redirects=False)
    assert (refused.status, refused.answer.headers["Location"].partition("?")[0]) == (
        303,
        "/ops/sign-in",
    )
    assert other.get("/ops", allow_redirects=False).status == 200
