import json
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url, text

from cli.doctor import ACCOUNT_CHECKS, CHECKS
from pipeline.records import account_states
from pipeline.records.models import Delivery
from pipeline.runtime.database import session_of
from pipeline.runtime.deployment import Risk
from tests.integration.api.conftest import Client, World
from tests.integration.api.test_failover import taking_no_writes
from tests.integration.cli.conftest import khronika
from tests.scripted_provider import TOKEN, callback
from tests.shared_run import Databases


class _Jobs(BaseHTTPRequestHandler):
    """A transcoder that knows no job and requires the token."""

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.send_response(404 if known else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def transcoder() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Jobs) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def healthy(environment: Mapping[str, str], transcoder: str) -> Mapping[str, str]:
    return {**environment, "KHRONIKA_SELFHOSTED_URL": transcoder}


def diagnosis(env: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Run the doctor; return its exit code, and by name the checks that did not pass."""
    ran = khronika("doctor", "--json", env=env)
    checks = {check["name"]: check for check in ran.document["checks"]}
    assert ran.document["ok"] == all(check["ok"] for check in checks.values())
    return ran.code, {name: check for name, check in checks.items() if not check["ok"]}


def test_a_healthy_system_is_said_to_be_so_line_by_line(healthy: Mapping[str, str]) -> None:
    ran = khronika("doctor", env=healthy)

    assert ran.code == 0, ran.out
    lines = ran.out.splitlines()
    assert len(lines) == 1 + len(CHECKS)
    assert all(line.startswith("ok ") for line in lines)


def test_secrets_in_files_are_read_from_there(healthy: Mapping[str, str], tmp_path: Path) -> None:
    filed: dict[str, str] = {}
    for name in ("KHRONIKA_API_DATABASE_URL", "BROKER_URL", "KHRONIKA_SELFHOSTED_TOKEN"):
        (tmp_path / name).write_text(healthy[name] + "\n")
        filed |= {name: "", f"{name}_FILE": str(tmp_path / name)}

    assert diagnosis({**healthy, **filed}) == (0, {})


AWAY_ISSUER = {
    "KHRONIKA_JWKS_LOOPBACK": "true",
    "KHRONIKA_JWT_ISSUERS": json.dumps(
        [
            {
                "issuer": "site",
                "audience": "people",
                "algorithm": "ES256",
                "jwks_url": "http://127.0.0.1:9",
            }
        ]
    ),
}


@pytest.mark.parametrize(
    ("changed", "name", "said"),
    [
        ({"BROKER_URL": "redis://:p@127.0.0.1:9/0"}, "broker", "does not answer"),
        ({"KHRONIKA_SELFHOSTED_URL": "http://127.0.0.1:9"}, "provider accounts", "does not answer"),
        (
            {"KHRONIKA_SELFHOSTED_TOKEN": "other"},
            "provider accounts",
            "does not accept our credentials",
        ),
        ({"FFMPEG": "/no/such/program"}, "ffmpeg, ffprobe", "FFMPEG"),
        ({"FFMPEG": "/bin/true"}, "ffmpeg, ffprobe", "lacks decoder h264"),
        ({"STORAGE_URL": "file:///proc/nowhere"}, "storage", "/proc/nowhere"),
        ({"KHRONIKA_POSTS_TABLE": "posts"}, "posts", "no table posts"),
        (AWAY_ISSUER, "issuers of tokens", "site publishes no keys at http://127.0.0.1:9"),
    ],
)
def test_the_doctor_names_what_is_away(
    healthy: Mapping[str, str], changed: Mapping[str, str], name: str, said: str
) -> None:
    code, wrong = diagnosis({**healthy, **changed})

    assert code == 1
    assert list(wrong) == [name]
    assert said in wrong[name]["detail"]
    assert wrong[name]["next_step"]


def test_the_doctor_names_a_role_that_cannot_enter(healthy: Mapping[str, str]) -> None:
    shut_out = healthy["KHRONIKA_PUBLIC_DATABASE_URL"].replace("khronika_public:", "nobody:")

    code, wrong = diagnosis({**healthy, "KHRONIKA_PUBLIC_DATABASE_URL": shut_out})

    assert code == 1
    assert list(wrong) == ["database as public"]
    assert "KHRONIKA_PUBLIC_DATABASE_URL" in wrong["database as public"]["next_step"]


def test_the_doctor_names_a_login_that_is_the_wrong_one(
    healthy: Mapping[str, str], role_urls: Mapping[str, str]
) -> None:
    code, wrong = diagnosis({**healthy, "KHRONIKA_API_DATABASE_URL": role_urls["owner"]})

    assert code == 1
    assert "khronika_api" in wrong["database as api"]["next_step"]


def test_the_doctor_names_what_was_changed_by_hand(
    healthy: Mapping[str, str], postgres_url: str
) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("ALTER TABLE uploads DISABLE ROW LEVEL SECURITY")
        connection.execute("DROP INDEX video_assets_due")

    code, wrong = diagnosis(healthy)

    assert code == 1
    assert list(wrong) == ["catalogue"]
    assert "uploads" in wrong["catalogue"]["detail"]
    assert "video_assets_due" in wrong["catalogue"]["detail"]


def test_the_doctor_names_a_database_that_takes_no_writes(
    healthy: Mapping[str, str], postgres_url: str, databases: Databases
) -> None:
    with taking_no_writes(databases, str(make_url(postgres_url).database)):
        code, wrong = diagnosis(healthy)

    assert code == 1
    for part in ("api", "worker", "operator", "public"):
        assert "takes no writes" in wrong[f"database as {part}"]["detail"]


def test_the_doctor_names_a_schema_that_lies_behind(
    healthy: Mapping[str, str], postgres_url: str
) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")

    code, wrong = diagnosis(healthy)

    assert code == 1
    assert "at 0001" in wrong["migrations"]["detail"]


def test_wrong_settings_are_named_and_the_rest_is_not_looked_at(
    healthy: Mapping[str, str],
) -> None:
    code, wrong = diagnosis({**healthy, "KHRONIKA_JWT_SECRET": "short", "KHRONIKA_LEASE_SEC": "0"})

    assert code == 1
    assert "KHRONIKA_JWT_SECRET" in wrong["settings"]["detail"]
    assert "KHRONIKA_LEASE_SEC" in wrong["settings"]["detail"]
    assert wrong["broker"]["ok"] is None


def test_no_secret_is_shown(healthy: Mapping[str, str], tmp_path: Path) -> None:
    ran = khronika("doctor", env=healthy)

    for name in ("KHRONIKA_JWT_SECRET", "KHRONIKA_SECRET_KEY", "KHRONIKA_SELFHOSTED_TOKEN"):
        assert healthy[name] not in ran.out
    for name in ("BROKER_URL", "KHRONIKA_API_DATABASE_URL"):
        password = healthy[name].partition("://")[2].partition("@")[0].partition(":")[2]
        assert password not in ran.out


@pytest.fixture
def reachable(healthy: Mapping[str, str], api: Client) -> Mapping[str, str]:
    """A healthy system whose API runs at its public address."""
    return {
        **healthy,
        "KHRONIKA_PUBLIC_URL": api.url,
        "KHRONIKA_SELFHOSTED_WRITES_PER_SEC": "2",
        "KHRONIKA_SELFHOSTED_MAX_JOBS": "7",
    }


def account_diagnosis(env: Mapping[str, str], account: str = "selfhosted") -> dict[str, Any]:
    """Run the doctor on one account; return its checks by name."""
    ran = khronika("doctor", "--provider", account, "--json", env=env)
    checks = {check["name"]: check for check in ran.document["checks"]}
    assert ran.code == (0 if all(check["ok"] for check in checks.values()) else 1)
    return checks


def test_an_account_is_examined_alone_and_nothing_is_spent(
    reachable: Mapping[str, str], api: Client, world: World
) -> None:
    found = account_diagnosis(reachable)

    assert all(check["ok"] for check in found.values()), found
    assert list(found) == ["settings", *ACCOUNT_CHECKS]
    assert f"{api.url}/api/video-assets/webhook/selfhosted" in found["callback route"]["detail"]
    assert found["state"]["detail"] == "selfhosted enabled"
    assert found["pace"]["detail"] == "write 2 a second, 7 jobs at once"
    assert world.count(Delivery) == 0


def test_what_ails_an_account_is_named_with_its_next_step(
    reachable: Mapping[str, str], world: World
) -> None:
    with session_of(world.engine) as session:
        account_states.record_problem(session, "selfhosted", "the card has expired")
    found = account_diagnosis(
        {
            **reachable,
            "KHRONIKA_SELFHOSTED_TOKEN": "other",
            "KHRONIKA_PUBLIC_URL": "http://127.0.0.1:9",
        }
    )

    wrong = {name: check for name, check in found.items() if not check["ok"]}
    assert list(wrong) == ["credentials", "callback route", "state"]
    assert "does not accept our credentials" in wrong["credentials"]["detail"]
    assert "does not answer" in wrong["callback route"]["detail"]
    assert "the card has expired" in wrong["state"]["detail"]
    assert "khronika providers enable selfhosted" in wrong["state"]["next_step"]


class _FastClock(_Jobs):
    """A transcoder whose clock is seven minutes ahead."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + 420)


def test_the_doctor_compares_the_vendors_clock_with_ours(reachable: Mapping[str, str]) -> None:
    detail = account_diagnosis(reachable)["vendor's clock"]["detail"]

    assert detail.startswith("the clock of selfhosted differs by ")
    assert detail.endswith("signatures tolerate 300 s")


def test_a_vendors_clock_beyond_the_tolerance_of_signatures_is_named(
    reachable: Mapping[str, str],
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _FastClock) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        found = account_diagnosis({**reachable, "KHRONIKA_SELFHOSTED_URL": url})
        server.shutdown()

    wrong = {name: check for name, check in found.items() if not check["ok"]}
    assert list(wrong) == ["vendor's clock"]
    assert "more than the 300 s that signatures tolerate" in wrong["vendor's clock"]["detail"]
    assert "NTP" in wrong["vendor's clock"]["next_step"]


def test_callbacks_that_another_secret_signed_are_named_until_one_is_verified(
    reachable: Mapping[str, str], api: Client, world: World
) -> None:
    assert account_diagnosis(reachable)["callback signature"]["detail"].startswith("none yet")
    headers, body = callback({"id": str(uuid4()), "status": "running"})
    path = "/api/video-assets/webhook/selfhosted"
    assert api.call("POST", path, as_=None, headers=headers, data=body + b" ").status_code == 401

    found = account_diagnosis(reachable)

    wrong = {name: check for name, check in found.items() if not check["ok"]}
    assert list(wrong) == ["callback signature"]
    assert "1 callbacks with a wrong signature" in wrong["callback signature"]["detail"]
    assert "khronika secrets list selfhosted" in wrong["callback signature"]["next_step"]
    assert api.call("POST", path, as_=None, headers=headers, data=body).status_code == 202
    found = account_diagnosis(reachable)
    assert found["callback signature"]["ok"]
    assert "verified last at" in found["callback signature"]["detail"]
    assert world.count(Delivery) == 1


def test_an_api_that_does_not_know_the_account_is_named(reachable: Mapping[str, str]) -> None:
    spare = {
        "KHRONIKA_ACCOUNTS": "selfhosted,spare:selfhosted",
        "KHRONIKA_SPARE_URL": reachable["KHRONIKA_SELFHOSTED_URL"],
        "KHRONIKA_SPARE_TOKEN": TOKEN,
    }
    found = account_diagnosis({**reachable, **spare}, "spare")

    wrong = {name: check for name, check in found.items() if not check["ok"]}
    assert list(wrong) == ["callback secret", "callback route"]
    assert "does not know spare" in wrong["callback route"]["detail"]


def test_an_account_that_is_not_configured_is_not_examined(healthy: Mapping[str, str]) -> None:
    ran = khronika("doctor", "--provider", "nobody", "--json", env=healthy)
    assert (ran.code, ran.document["error"]["code"]) == (3, "unknown_provider")


def test_the_doctor_names_an_account_that_is_gone_and_owes_releases(
    healthy: Mapping[str, str], world: World, api: Client
) -> None:
    asset_id = api.create().json()["id"]
    with session_of(world.engine) as session:
        session.execute(
            text("""INSERT INTO provider_attempts (id, asset_id, generation, number, provider,
                        intended_at, release_requested_at)
                    VALUES (gen_random_uuid(), :id, 1, 1, 'gone', now(), now())"""),
            {"id": asset_id},
        )
    code, wrong = diagnosis(healthy)

    assert (code, list(wrong)) == (1, ["states of accounts"])
    assert "khronika providers write-off gone" in wrong["states of accounts"]["next_step"]


def test_the_doctor_says_which_risks_are_accepted_and_which_of_them_nothing_runs(
    healthy: Mapping[str, str],
) -> None:
    risks = ",".join(sorted(set(Risk) - {Risk.LONG_LIFE}))
    ran = khronika(
        "doctor",
        "--json",
        env={**healthy, "KHRONIKA_ENV": "production", "KHRONIKA_ACCEPT_RISK": risks},
    )
    [check] = [each for each in ran.document["checks"] if each["name"] == "accepted risks"]
    assert check["ok"]
    run, _, needless = check["detail"].partition("accepted and not run: ")
    assert "weak_key (KHRONIKA_SECRET_KEY: " in run
    assert "plain_public_address (KHRONIKA_PUBLIC_URL: " in run
    assert "plain_storage" in needless
    assert "weak_key" not in needless
    assert healthy["KHRONIKA_SECRET_KEY"] not in ran.out


def test_the_doctor_names_a_risk_that_is_not_accepted(healthy: Mapping[str, str]) -> None:
    code, found = diagnosis({**healthy, "KHRONIKA_ENV": "production"})
    assert code != 0
    assert "KHRONIKA_SECRET_KEY: " in found["settings"]["detail"]
