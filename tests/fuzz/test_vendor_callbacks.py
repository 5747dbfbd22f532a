"""What holders of secrets of any account can send: any document, read or unreadable."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.failures import FAILURES
from pipeline.domain.values import CallbackEnvelope, Phase, ProviderStatus
from pipeline.providers.base import CallbackUnreadable, Provider
from tests.fuzz.mutations import ANY_JSON, SCALARS, mutated
from tests.vendors.accounts import account_at, fake_of, fakes
from tests.vendors.fake import FakeCallback, FakeVendor

PHASES = (Phase.RUNNING, Phase.PLAYABLE, Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)


def _opened(name: str) -> tuple[FakeVendor, Provider]:
    fake = fake_of(name)
    fake.url = fake.media_url = "http://127.0.0.1:9"
    with pytest.MonkeyPatch.context() as patch, account_at(fake, patch) as account:
        return fake, account


def _sent(fake: FakeVendor) -> list[FakeCallback]:
    """Every callback that the vendor sends about a job of another origin."""
    job = fake.orphan()
    sent: list[FakeCallback] = []
    for phase in PHASES:
        if phase in fake.phases:
            fake.move(job.job_id, phase)
            sent += fake.callbacks_for(job.job_id, phase)
    return sent


def _places(document: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    """The place of every member of a document, at any depth."""
    inner = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in inner:
        yield (*above, name)
        if isinstance(value, dict | list):
            yield from _places(value, *above, name)


def _changed(document: Any, changes: Mapping[tuple[Any, ...], Any], *above: Any) -> Any:
    """The document with something else at some of its places."""
    if above in changes:
        return changes[above]
    if isinstance(document, dict):
        return {name: _changed(value, changes, *above, name) for name, value in document.items()}
    if isinstance(document, list):
        return [_changed(value, changes, *above, at) for at, value in enumerate(document)]
    return document


def _bodies(callback: FakeCallback) -> st.SearchStrategy[bytes]:
    document = json.loads(callback.body)
    changes = st.dictionaries(
        st.sampled_from(sorted(_places(document), key=str)), SCALARS | ANY_JSON, max_size=3
    )
    documents = changes.map(lambda wrong: _changed(document, wrong)) | ANY_JSON
    bodies = documents.map(lambda each: json.dumps(each).encode())
    return bodies | bodies.flatmap(mutated)


VENDORS = {name: _opened(name) for name in sorted(fakes()) if name != "selfhosted"}
"""Our own transcoder has a test of its own."""
SENT = {name: _sent(fake) for name, (fake, _) in VENDORS.items()}


@pytest.mark.parametrize("name", sorted(VENDORS))
@given(st.data())
def test_a_callback_of_any_vendor_is_read_or_unreadable_and_nothing_else(
    name: str, data: st.DataObject
) -> None:
    fake, account = VENDORS[name]
    callback = data.draw(st.sampled_from(SENT[name]))
    body = data.draw(_bodies(callback))
    sent = fake.signed_by(FakeCallback(callback.headers, body, callback.query), fake.secret)
    envelope = CallbackEnvelope(sent.headers, sent.body, sent.query)

    signed = account.verify_callback(envelope, [fake.secret], fake.now())
    assert signed.event_id.isascii()
    assert signed.event_id.isprintable()
    assert 0 < len(signed.event_id) <= 255
    try:
        told = account.read_callback(envelope)
    except CallbackUnreadable:
        return
    if isinstance(told, ProviderStatus) and told.phase is Phase.FAILED:
        assert told.error_code in FAILURES
