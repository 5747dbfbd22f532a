import pytest

from pipeline.runtime.broker_urls import BrokerOpen, check_guarded


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "redis://",
        "redis://user@host",
        "redis://:@host",
        "redis://user:@host",
        "rediss://host?ssl_cert_reqs=required",
        "REDIS://host",
        " redis://host",
        "valkey://host",
        "sentinel://host:26379",
        "amqp://host//",
        "amqps://guest@host",
        "pyamqp://host",
        "redis://:secret@one;redis://two",
        "redis://host/0?x=:password@",
    ],
)
def test_a_broker_that_anybody_may_enter_is_refused(url: str) -> None:
    with pytest.raises(BrokerOpen, match="password"):
        check_guarded(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@127.0.0.1:6379/0",
        "rediss://user:secret@host",
        "valkey://:secret@host",
        "amqp://user:secret@host//",
        "sentinel://:secret@one:26379;sentinel://:secret@two:26379",
        "redis+socket:///run/valkey/socket",
        "memory://",
    ],
)
def test_one_behind_a_password_or_on_this_machine_alone_is_fine(url: str) -> None:
    check_guarded(url)
