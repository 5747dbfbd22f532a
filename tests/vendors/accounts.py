"""Accounts at the fakes, opened from the environment as a process opens its own."""

import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from uuid import UUID, uuid4

import pytest

import tests.vendors
from pipeline.config.account_settings import AccountListSettings
from pipeline.domain.values import JobRef, Playback, Profile, SourceFacts, SubmitRequest
from pipeline.providers.accounts import Accounts
from pipeline.providers.base import Opening, Provider
from pipeline.providers.registry import adapter_names
from tests.vendors.fake import FakeVendor

ACCOUNT = "house"
"""Name of the account; not that of its adapter."""
SPARE = "spare"
"""Name of a second account at the same vendor."""


def fakes() -> dict[str, type[FakeVendor]]:
    """The class of each fake, by its adapter; an adapter's fake is the module of the same name."""
    modules = {module.name for module in pkgutil.iter_modules(tests.vendors.__path__)}
    return {name: _fake(name) for name in adapter_names() if name in modules}


def _fake(name: str) -> type[FakeVendor]:
    found = vars(import_module(f"tests.vendors.{name}")).values()
    [fake] = [
        each
        for each in found
        if isinstance(each, type)
        and issubclass(each, FakeVendor)
        and getattr(each, "adapter", None) == name
    ]
    return fake


def fake_of(name: str, outputs: Path | None = None) -> FakeVendor:
    """A fake with empty books."""
    return fakes()[name](outputs)


@contextmanager
def account_at(
    fake: FakeVendor, monkeypatch: pytest.MonkeyPatch, **variables: str
) -> Iterator[Provider]:
    """Open an account at a fake that is served, and close its connections.

    Args:
        variables: Variables of the account that replace the fake's own; an empty one is unset.
    """
    prefix = f"KHRONIKA_{ACCOUNT.upper()}_"
    given = {f"{prefix}{name}": value for name, value in variables.items()}
    for name, value in (fake.environment(ACCOUNT) | given).items():
        if value:
            monkeypatch.setenv(name, value)
    listed = AccountListSettings(accounts=(f"{ACCOUNT}:{fake.adapter}",))
    account = Accounts.read(listed).by_name[ACCOUNT]
    opening = Opening(ACCOUNT, account.settings, timeout_sec=5, tolerance_sec=300)
    opened = account.adapter.open(opening)
    yield opened
    close: Callable[[], None] | None = getattr(opened, "close", None)
    if close:
        close()


def request_of(
    *,
    title: str | None = "A walk",
    playback: Playback = Playback.PUBLIC,
    max_profile: Profile | None = None,
    poster_time_sec: float | None = None,
) -> SubmitRequest:
    """A submission of a new attempt."""
    attempt_id = uuid4()
    return SubmitRequest(
        asset_id=UUID(int=8),
        attempt_id=attempt_id,
        source_url="https://videos.example/a.mp4?signature=secret",
        output_prefix=f"processed/a/{attempt_id}",
        poster_prefix=f"posters/a/{attempt_id}",
        source=SourceFacts(5.28, 320, 180, "mp4", 1000),
        title=title,
        playback=playback,
        max_profile=max_profile,
        poster_time_sec=poster_time_sec,
    )


def job_of(fake: FakeVendor, request: SubmitRequest, job_id: str | None = None) -> JobRef:
    """The reference of a job, submitted just now."""
    return JobRef(request.attempt_id, job_id, fake.now(), poster_time_sec=request.poster_time_sec)
