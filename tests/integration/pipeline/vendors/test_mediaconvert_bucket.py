"""The whole way of a video through MediaConvert and a bucket of a real S3 server."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import UUID

import pytest
import requests

from pipeline.domain.states import Status
from pipeline.domain.values import CallbackEnvelope, Phase, Playback
from pipeline.lifecycle.receive_callback import receive_callback
from pipeline.lifecycle.reconcile import reconcile
from pipeline.media.playlist import parse_master, parse_media
from pipeline.operations.purge import purge
from pipeline.runtime.database import session_of
from pipeline.storage.s3_client import connect
from pipeline.storage.urls import bucket_of
from tests.buckets import CREDENTIALS, S3Server, moto_server
from tests.integration.pipeline.vendors.at_vendor import AtVendor
from tests.vendors.accounts import ACCOUNT
from tests.vendors.fake import FakeCallback, FakeVendor
from tests.vendors.mediaconvert import CERTIFICATE_URL, TOPIC, FakeMediaConvert, certificate
from tests.vendors.mediaconvert_outputs import laid_out, put_all

pytestmark = pytest.mark.parametrize("adapter", ["mediaconvert"], indirect=True)

PREFIX = "site"


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def storage_url(bucket_server: S3Server) -> str:
    return bucket_server.make_bucket(f"{PREFIX}/")


@pytest.fixture
def account_variables(fake: FakeVendor, storage_url: str) -> dict[str, str]:
    bucket = urlsplit(storage_url).netloc
    return {
        "KHRONIKA_ACCOUNTS": f"{ACCOUNT}:{fake.adapter}",
        **fake.environment(ACCOUNT),
        f"KHRONIKA_{ACCOUNT.upper()}_DESTINATION": f"s3://{bucket}/{PREFIX}",
        f"KHRONIKA_{ACCOUNT.upper()}_SNS_TOPIC_ARN": TOPIC,
        "STORAGE_URL": storage_url,
        "AWS_ACCESS_KEY_ID": CREDENTIALS.key_id,
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS.secret,
    }


@pytest.fixture
def bucket(storage_url: str) -> Any:
    """A client of the bucket, which is the service's own."""
    return connect(bucket_of(urlsplit(storage_url)), CREDENTIALS)


def keys_in(bucket: Any, storage_url: str) -> set[str]:
    found = bucket.list_objects_v2(Bucket=urlsplit(storage_url).netloc)
    return {each["Key"] for each in found.get("Contents", [])}


def sent_by_sns(at_vendor: AtVendor, sent: FakeCallback) -> None:
    """Store a message of SNS with the certificate that verifies it, and apply it."""
    envelope = CallbackEnvelope(sent.headers, sent.body, documents={CERTIFICATE_URL: certificate()})
    with session_of(at_vendor.world._api) as session:
        stored = receive_callback(
            session,
            at_vendor.services.providers[ACCOUNT],
            secrets=[],
            envelope=envelope,
            source="127.0.0.1",
            request_id="test",
            now=datetime.now(UTC),
        )
    assert stored.wake is not None
    reconcile(at_vendor.services, stored.wake.id)


def segments_of(url: str) -> list[bytes]:
    """Play a manifest: every segment of every variant, over the network."""
    master = requests.get(url, timeout=30)
    assert master.status_code == 200
    played = []
    for variant in parse_master(master.text).variants:
        playlist = requests.get(urljoin(master.url, variant.uri), timeout=30)
        for segment in parse_media(playlist.text).segments:
            answer = requests.get(urljoin(playlist.url, segment.uri), timeout=30)
            assert answer.status_code == 200
            played.append(answer.content)
    return played


def addresses_of(at_vendor: AtVendor, asset_id: UUID) -> dict[str, str]:
    post_id = at_vendor.world.asset(asset_id).post_id
    answer = at_vendor.api.get(f"/api/video-assets/{post_id}", as_="ana")
    document: dict[str, str] = answer.json()
    return document


@pytest.mark.parametrize("playback", list(Playback))
@pytest.mark.parametrize("delivery", ["destination", "sns"])
def test_a_video_goes_through_the_bucket_from_submission_to_deletion(
    at_vendor: AtVendor, bucket: Any, storage_url: str, delivery: str, playback: Playback
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    assert isinstance(fake, FakeMediaConvert)
    assert fake.outputs is not None
    asset_id = at_vendor.submitted(playback)
    job = at_vendor.job(asset_id)
    made = laid_out(job.spec["settings"], fake.outputs)
    put_all(bucket, made)
    fake.move(job.job_id, Phase.COMPLETED)
    event = fake.event(job.job_id, "COMPLETE")

    if delivery == "sns":
        sent_by_sns(at_vendor, fake.by_sns(event))
    else:
        assert at_vendor.deliver(fake.by_destination(event)).applied == "completed"

    done = world.asset(asset_id)
    assert (done.status, done.failures) == (Status.COMPLETED, 0)
    addresses = addresses_of(at_vendor, asset_id)
    assert f"/videos/{asset_id}/manifest.m3u8" in addresses["manifest_url"]
    written = [content for address, content in made.items() if address.endswith(".ts")]
    assert sorted(segments_of(addresses["manifest_url"])) == sorted(written)
    mp4 = requests.get(addresses["fallback_url"], headers={"Range": "bytes=4-7"}, timeout=30)
    assert (mp4.status_code, mp4.content) == (206, b"ftyp")
    assert requests.get(addresses["poster_url"], timeout=30).content.startswith(b"\xff\xd8")

    ours = {urlsplit(address).path.removeprefix("/") for address in made}
    assert ours <= keys_in(bucket, storage_url)
    at_vendor.delete(asset_id)
    world.execute("UPDATE provider_attempts SET purge_at = now() WHERE purge_at IS NOT NULL")
    purge(at_vendor.services)
    assert keys_in(bucket, storage_url) & ours == set()
    assert requests.get(addresses["manifest_url"], timeout=30).status_code == 404


def test_outputs_that_the_service_has_not_written_whole_are_rejected(
    at_vendor: AtVendor, bucket: Any
) -> None:
    fake = at_vendor.fake
    assert isinstance(fake, FakeMediaConvert)
    assert fake.outputs is not None
    asset_id = at_vendor.submitted()
    job = at_vendor.job(asset_id)
    made = laid_out(job.spec["settings"], fake.outputs)
    last = max(address for address in made if address.endswith(".ts"))
    put_all(bucket, {address: content for address, content in made.items() if address != last})
    fake.move(job.job_id, Phase.COMPLETED)

    at_vendor.deliver(fake.by_destination(fake.event(job.job_id, "COMPLETE")))

    asset = at_vendor.world.asset(asset_id)
    assert (asset.status, asset.error_code) == (Status.RETRYING, "output_rejected")
    assert asset.published_output_id is None
