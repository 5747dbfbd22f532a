"""Settings that only the API and its operators read: pages, posts, live status."""

from typing import Annotated

from pydantic import AnyHttpUrl, BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from pipeline.config.comma_lists import split_tuple
from pipeline.config.groups import SettingsGroup
from pipeline.domain.values import PostClaim
from pipeline.net.client_bounds import ClientBounds
from pipeline.net.listeners import ListenAddress, parse_listen_address


class ClientSettings(SettingsGroup):
    """Clients of the API, and the proxies between."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Sites whose pages may call the API."""
    proxies: int = Field(0, ge=0, le=10)
    """Proxies before the API that each add an address to ``X-Forwarded-For``. If the number is too
    high, a caller can forge the address that limits are counted by."""
    client_patience_sec: float = Field(30.0, gt=0)
    """Seconds that a client may send no more of its request, or take no more of its answer. It may
    be waited for so long in all, and for the seconds that its bytes earn."""
    client_head_sec: float = Field(10.0, gt=0)
    """Seconds from the beginning of a request to the end of its head. Bytes that arrive meanwhile
    do not extend them."""
    client_bytes_per_sec: int = Field(1024, ge=1)
    """Lowest rate of a body and of an answer, in bytes a second: an upload at 20 kbit/s is twice as
    fast. Only the time of waiting for the client counts; an event stream's silence does not."""
    client_connections: int = Field(200, ge=1)
    """Connections of one address to one API process. For one more, the oldest of them that waits
    for a request is closed. Not applied behind proxies, whose address all clients share."""

    _split = field_validator("cors_origins", mode="before")(split_tuple)

    @property
    def bounds(self) -> ClientBounds:
        """The bounds of the connections of one API process."""
        return ClientBounds(
            head_sec=self.client_head_sec,
            patience_sec=self.client_patience_sec,
            bytes_per_sec=self.client_bytes_per_sec,
            per_address=None if self.proxies else self.client_connections,
        )


class InternalSettings(SettingsGroup):
    """The listener of the pages of operators."""

    internal_bind: Annotated[
        ListenAddress | None, NoDecode, BeforeValidator(parse_listen_address)
    ] = None
    """``ADDRESS:PORT`` of a further listener. If it is set, ``/metrics``, ``/docs``,
    ``/openapi.json`` and ``/ops`` are served there alone, and are 404 on the API's own listener.
    Give it an address that operators alone reach."""
    internal_url: AnyHttpUrl | None = None
    """Address of that listener for operators, with which ``khronika ops-link`` begins a link.
    Unset: the address it listens on."""

    def console_url(self, base_url: str) -> str:
        """Return the address before ``/ops``.

        Args:
            base_url: The API's own address.
        """
        if self.internal_url is not None:
            return str(self.internal_url).rstrip("/")
        return f"http://{self.internal_bind}" if self.internal_bind else base_url


class MetricsSettings(SettingsGroup):
    """The metrics of the API and of the database."""

    metrics_token: SecretStr | None = None
    """Bearer token that ``/metrics`` asks for. Unset: none."""


class PostSettings(SettingsGroup):
    """The ownership of posts."""

    posts_table: str | None = None
    """The site's table of posts, where it shares our database: only a post's owner may then
    register a video for it."""
    posts_owner_column: str = Field("owner_id", min_length=1)
    """Column of that table with the owner's id."""
    post_claim: PostClaim = PostClaim.OFF
    """``required`` lets owners' tokens register videos only for the posts that they name, where
    there is no table to ask; ``off`` asks nothing of them."""

    @property
    def are_first_come_first_served(self) -> bool:
        """True if no rule ties a post to its owner, so that a stranger may take it."""
        return self.posts_table is None and self.post_claim is PostClaim.OFF


class StreamSettings(SettingsGroup):
    """Streams of live status."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_STREAM_")

    clients: int = Field(30, ge=1, le=1000)
    """Streams that one API process keeps open. Each occupies a thread: the process has as many as
    streams and the bounded work may occupy, and 16 more."""
    clients_per_address: int = Field(10, ge=1)
    """Streams of one address among them, and of one owner: an office behind one address polls with
    its eleventh page."""
    life_sec: float = Field(55.0, gt=0)
    """Longest life of a stream, in seconds: many proxies end one at 60 s."""
    look_sec: float = Field(1.0, ge=0.05)
    """Seconds between two looks for changes; each look is one statement."""
    ticket_sec: int = Field(600, ge=60)
    """Seconds that a ticket opens streams: long enough for several, and short for one in a log."""
