from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, update

from pipeline.media.tools import Tools
from pipeline.runtime.database import session_of
from tests import clips
from tests.integration.transcoder.conftest import Client, Receiver, callbacks_of
from transcoder.callback_delivery import GIVE_UP_AFTER, deliver_callback
from transcoder.models import OwedCallback
from transcoder.services import TranscoderServices
from transcoder.store import due_callbacks
from transcoder.sweep import sweep
from transcoder.transcode import transcode


@pytest.fixture
def owed(client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools) -> UUID:
    """Make a callback that has not been tried yet."""
    job_id = client.submit(clips.html(clip_folder, tools))
    transcode(services, job_id)
    [callback] = callbacks_of(services, job_id)
    return callback.id


def make_due(services: TranscoderServices) -> None:
    """Make every callback due at once."""
    with session_of(services.engine) as session:
        session.execute(update(OwedCallback).values(next_try_at=func.now()))


def stored(services: TranscoderServices, callback_id: UUID) -> OwedCallback:
    with session_of(services.engine) as session:
        callback = session.get(OwedCallback, callback_id)
        assert callback is not None
        return callback


def try_it(services: TranscoderServices, callback_id: UUID, now: datetime | None = None) -> None:
    deliver_callback(services.engine, services.callback_sender, callback_id, now=now)


def test_a_receiver_that_fails_twice_gets_the_same_callback_a_third_time(
    services: TranscoderServices, receiver: Receiver, owed: UUID
) -> None:
    receiver.answers += [500, 500]
    for _ in range(3):
        make_due(services)
        assert any(wake.id == owed for wake in sweep(services))
        try_it(services, owed)
    tries = receiver.terminal()
    assert {received.headers["webhook-id"] for received in tries} == {str(owed)}
    assert len({received.body for received in tries}) == 1
    assert len(tries) == 3
    assert stored(services, owed).delivered_at is not None


def test_a_delivered_callback_is_not_sent_again(
    services: TranscoderServices, receiver: Receiver, owed: UUID
) -> None:
    for _ in range(2):
        make_due(services)
        try_it(services, owed)
    assert len(receiver.terminal()) == 1


def test_a_failed_try_waits_before_the_next(
    services: TranscoderServices, receiver: Receiver, owed: UUID
) -> None:
    receiver.answers += [503]
    with session_of(services.engine) as session:
        assert list(due_callbacks(session)) == [owed]
    before = datetime.now(UTC)
    try_it(services, owed)
    callback = stored(services, owed)
    assert (callback.tries, callback.delivered_at) == (1, None)
    assert callback.next_try_at >= before - timedelta(seconds=5)


def test_a_callback_in_somebody_elses_hands_is_left_alone(
    services: TranscoderServices, receiver: Receiver, owed: UUID
) -> None:
    with session_of(services.engine) as session:
        session.execute(update(OwedCallback).values(next_try_at=func.now() + timedelta(minutes=1)))
    try_it(services, owed)
    assert receiver.terminal() == []


def test_a_receiver_that_is_gone_is_not_asked_again(
    services: TranscoderServices, receiver: Receiver, owed: UUID
) -> None:
    receiver.answers += [410]
    try_it(services, owed)
    assert stored(services, owed).abandoned_at is not None
    make_due(services)
    try_it(services, owed)
    assert len(receiver.terminal()) == 1


def test_a_redirect_is_not_followed(
    services: TranscoderServices, receiver: Receiver, owed: UUID
) -> None:
    receiver.answers += [307]
    try_it(services, owed)
    assert len(receiver.terminal()) == 1
    assert stored(services, owed).delivered_at is None


def test_a_callback_is_given_up_after_a_day(
    services: TranscoderServices, receiver: Receiver, owed: UUID
) -> None:
    receiver.answers += [500, 500]
    within = stored(services, owed).created_at + GIVE_UP_AFTER
    try_it(services, owed, now=within)
    assert stored(services, owed).abandoned_at is None
    make_due(services)
    try_it(services, owed, now=within + timedelta(seconds=1))
    assert stored(services, owed).abandoned_at is not None
