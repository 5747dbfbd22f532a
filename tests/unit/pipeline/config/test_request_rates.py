import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.config.request_rates import PER_PROCESS, Rate, StoreUrl, multiply_rate, store_for


@pytest.mark.parametrize("text", ["60/minute", "1 per 5 seconds", "100000/hour"])
def test_a_rate_is_taken_as_people_write_it(text: str) -> None:
    assert TypeAdapter(Rate).validate_python(text) == text


@pytest.mark.parametrize("text", ["", "60", "often", "0/minute", "-1/minute", "1/second;9/minute"])
def test_what_is_no_single_rate_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a rate"):
        TypeAdapter(Rate).validate_python(text)


def test_a_rate_for_several_keeps_its_window() -> None:
    assert multiply_rate("10 per 5 minutes", 3) == "30 per 5 minute"


@pytest.mark.parametrize(
    ("broker", "store"),
    [
        ("redis://:p@host:6379/0", "redis://:p@host:6379/0"),
        ("rediss://host/1", "rediss://host/1"),
        ("valkey://host/1", "redis://host/1"),
        ("valkeys://host/1", "rediss://host/1"),
        ("amqp://host//", PER_PROCESS),
        ("memory://", PER_PROCESS),
    ],
)
def test_requests_are_counted_with_the_broker_where_it_can_count(broker: str, store: str) -> None:
    assert store_for(broker) == store


@pytest.mark.parametrize("url", ["http://host/", "memcached://host:1", "amqp://secret@host"])
def test_a_store_of_another_kind_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(StoreUrl, config={"hide_input_in_errors": True}).validate_python(url)
    assert "secret" not in str(refused.value)
