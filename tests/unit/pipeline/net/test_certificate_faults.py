"""The faults of a certificate: those of its server end a fetch, those that may be ours do not."""

import socket
import ssl

import pytest
import requests
from urllib3 import HTTPSConnectionPool
from urllib3.exceptions import MaxRetryError, SSLError

from pipeline.net.dialing import Dialer
from pipeline.net.fetch_errors import FetchRefused, refusal_of
from pipeline.net.fetch_policy import FetchPolicy

FAULTS = {
    "expired": (10, True),
    "not yet valid, or our clock is slow": (9, True),
    "of an issuer that we do not know": (20, True),
    "of a chain that we do not know": (19, True),
    "self-signed": (18, False),
    "revoked": (23, False),
    "of another name": (62, False),
    "of another address": (64, False),
}


def failure_of(verify_code: int) -> requests.exceptions.SSLError:
    """Return the error of requests for a certificate that OpenSSL refuses with this number."""
    fault = ssl.SSLCertVerificationError(1, "certificate verify failed")
    fault.verify_code = verify_code
    wrapped = SSLError(fault)
    wrapped.__cause__ = fault
    refused = requests.exceptions.SSLError(
        MaxRetryError(HTTPSConnectionPool("video.example"), "/", wrapped)
    )
    refused.__cause__ = wrapped
    return refused


@pytest.mark.parametrize(("verify_code", "passes"), FAULTS.values(), ids=FAULTS.keys())
def test_a_source_waits_for_a_certificate_that_a_renewal_or_our_clock_mends(
    verify_code: int, passes: bool
) -> None:
    refused = refusal_of(failure_of(verify_code))

    assert (refused.code, refused.transient) == ("source_unreachable", passes)


RESOLVER = {
    "the resolver does not answer": (socket.EAI_AGAIN, True),
    "the resolver fails": (socket.EAI_FAIL, True),
    "the system fails": (socket.EAI_SYSTEM, True),
    "there is no such name": (socket.EAI_NONAME, False),
}


@pytest.mark.parametrize(("number", "passes"), RESOLVER.values(), ids=RESOLVER.keys())
def test_a_source_waits_for_a_resolver_and_not_for_a_name_that_does_not_exist(
    monkeypatch: pytest.MonkeyPatch, number: int, passes: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "scripted")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(FetchRefused) as refused:
        Dialer(FetchPolicy())._resolve("video.example", 443, public_only=True)

    assert (refused.value.code, refused.value.transient) == ("source_unreachable", passes)
