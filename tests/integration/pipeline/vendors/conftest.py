"""Every adapter with a fake, in the world of the use cases, with the API before it."""

from collections.abc import Iterator
from dataclasses import replace
from os import environ
from pathlib import Path
from random import Random

import pytest

from pipeline.config.groups import load_settings
from pipeline.media.tools import locate_tools
from pipeline.process_settings import WorkerSettings
from pipeline.services import Services, build_services
from tests.integration.api.conftest import Client, serving
from tests.integration.pipeline.conftest import CLIP, World
from tests.integration.pipeline.vendors.at_vendor import AtVendor
from tests.vendors import fake as vendor_fake
from tests.vendors.accounts import ACCOUNT, SPARE, fake_of, fakes
from tests.vendors.fake import FakeVendor
from tests.vendors.outputs import make_outputs

ADAPTERS = sorted(fakes())


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of the sample clip, as vendors make them."""
    return make_outputs(tmp_path_factory.mktemp("encoded"), CLIP, locate_tools(environ))


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> str:
    """The adapter; a test of some adapters alone parametrises it."""
    name: str = request.param
    return name


@pytest.fixture
def fake(adapter: str, encoded: Path) -> Iterator[FakeVendor]:
    """The vendor, with empty books."""
    vendor = fake_of(adapter, encoded)
    with vendor_fake.serving(vendor):
        yield vendor


@pytest.fixture
def other(adapter: str, encoded: Path) -> Iterator[FakeVendor]:
    """The same vendor, where the second account is; a test that uses it has two accounts."""
    vendor = fake_of(adapter, encoded)
    with vendor_fake.serving(vendor):
        yield vendor


@pytest.fixture
def account_variables(fake: FakeVendor, request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables of the accounts, for a module to extend."""
    one = {"KHRONIKA_ACCOUNTS": f"{ACCOUNT}:{fake.adapter}", **fake.environment(ACCOUNT)}
    if "other" not in request.fixturenames:
        return one
    second: FakeVendor = request.getfixturevalue("other")
    accounts = f"{ACCOUNT}:{fake.adapter},{SPARE}:{fake.adapter}"
    return {**one, **second.environment(SPARE), "KHRONIKA_ACCOUNTS": accounts}


@pytest.fixture
def front(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch, account_variables: dict[str, str]
) -> Iterator[Client]:
    """The API, which receives callbacks and serves the media of our storage."""
    del settings  # it has set the rest of the environment
    for name, value in account_variables.items():
        monkeypatch.setenv(name, value)
    with serving(monkeypatch) as client:
        yield client


@pytest.fixture
def services(front: Client) -> Iterator[Services]:
    """A worker with these accounts."""
    del front  # it has set the address of our media
    services = replace(build_services(load_settings(WorkerSettings)), rng=Random(1))
    yield services
    services.close()


@pytest.fixture
def at_vendor(world: World, front: Client, fake: FakeVendor) -> AtVendor:
    return AtVendor(world, front, fake)


@pytest.fixture
def spare(at_vendor: AtVendor, other: FakeVendor) -> AtVendor:
    """The second account, in the same world."""
    return replace(at_vendor, fake=other, account=SPARE)
