"""Addresses that servers redirect to, read as browsers read them."""

from urllib.parse import quote, urldefrag, urljoin, urlsplit

from pipeline.net.fetch_errors import url_refused

STATUSES = (301, 302, 303, 307, 308)
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def redirect_target(url: str, location: str) -> str:
    """Return the URL that a ``Location`` header names.

    Servers send addresses as people write them: with spaces, with letters beyond ASCII in path,
    query and host. Those of the path and query are percent-encoded as UTF-8, those of the host are
    encoded by IDNA; a fragment is for the client alone.

    Args:
        url: The URL that was asked.
        location: The header; each of its characters stands for one byte, as in `http.client`.

    Raises:
        FetchRefused: `url_refused`: it is malformed.
    """
    try:
        text = location.encode("latin-1").decode("utf-8", "surrogateescape").strip(" \t")
        target = urljoin(url, _with_ascii_host(text, url))
    except ValueError as error:  # an unpaired bracket, or a host that IDNA cannot hold
        raise url_refused("The server redirects to a malformed URL.") from error
    return quote(urldefrag(target).url, safe=_PRINTABLE, errors="surrogateescape")


def _with_ascii_host(location: str, url: str) -> str:
    parts = urlsplit(location, urlsplit(url).scheme)
    host = parts.hostname or ""
    if host.isascii():
        return location
    encoded = host.encode("idna").decode("ascii")
    return parts._replace(netloc=parts.netloc.lower().replace(host, encoded)).geturl()
