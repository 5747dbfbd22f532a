"""The documents that the verification of callbacks needs."""

from collections.abc import Collection
from unittest import mock

import pytest

from pipeline.domain.values import CallbackEnvelope
from pipeline.net.fetch import FetchCode, FetchRefused
from pipeline.providers.base import Provider, Trust
from pipeline.providers.callback_documents import (
    FAILED_SEC,
    FRESH_SEC,
    MAX_DOCUMENTS,
    CallbackDocuments,
    fetch_document,
)

HOSTS = frozenset({"sns.eu-central-1.amazonaws.com"})
URL = "https://sns.eu-central-1.amazonaws.com/a.pem"


class Vendor:
    """A server of documents, a clock, and an account whose callbacks name documents."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.refusal: FetchRefused | None = None
        self.documents = CallbackDocuments(self.fetch, lambda: self.now)

    def fetch(self, url: str, hosts: Collection[str]) -> bytes:
        assert hosts == HOSTS
        self.asked.append(url)
        if self.refusal:
            raise self.refusal
        return url.encode()

    def of(self, *urls: str) -> CallbackEnvelope:
        account = mock.Mock(spec=Provider, trust=Trust(document_hosts=HOSTS))
        account.documents_for.return_value = urls
        return self.documents.add_to(CallbackEnvelope({}, b"body"), account)


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


def test_a_callback_without_documents_is_as_it_was(vendor: Vendor) -> None:
    assert vendor.of() == CallbackEnvelope({}, b"body")
    assert vendor.asked == []


def test_a_document_is_fetched_once_an_hour(vendor: Vendor) -> None:
    for _ in range(3):
        assert vendor.of(URL).documents == {URL: URL.encode()}
    vendor.now = FRESH_SEC - 1
    vendor.of(URL)
    assert len(vendor.asked) == 1

    vendor.now = FRESH_SEC + 1
    vendor.of(URL)
    assert len(vendor.asked) == 2


def test_a_failure_is_kept_for_a_minute(vendor: Vendor) -> None:
    vendor.refusal = FetchRefused(FetchCode.SOURCE_TIMEOUT, "slow", transient=True)
    for _ in range(3):
        with pytest.raises(FetchRefused):
            vendor.of(URL)
    assert len(vendor.asked) == 1

    vendor.refusal, vendor.now = None, FAILED_SEC + 1
    assert vendor.of(URL).documents


def test_a_stranger_who_names_many_documents_is_stopped_and_a_known_one_is_still_there(
    vendor: Vendor,
) -> None:
    vendor.of(URL)
    for number in range(1, MAX_DOCUMENTS):
        vendor.of(f"{URL}?{number}")

    for number in range(MAX_DOCUMENTS, 100):
        with pytest.raises(FetchRefused) as refused:
            vendor.of(f"{URL}?{number}")
        assert refused.value.transient

    assert len(vendor.asked) == MAX_DOCUMENTS
    assert vendor.of(URL).documents


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-central-1.amazonaws.com/a.pem",
        "https://evil.example/a.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/a.pem",
        "https://sns.eu-central-1.amazonaws.com@evil.example/a.pem",
        "file:///etc/passwd",
        "",
    ],
)
def test_no_other_address_is_fetched(url: str) -> None:
    with pytest.raises(FetchRefused) as refused:
        fetch_document(url, HOSTS)

    assert refused.value.code == FetchCode.URL_REFUSED
    assert not refused.value.transient


def test_an_account_without_hosts_of_documents_has_none() -> None:
    with pytest.raises(FetchRefused):
        fetch_document(URL, ())
    with pytest.raises(FetchRefused):
        fetch_document("https://127.0.0.1/a.pem", {"127.0.0.1"})
