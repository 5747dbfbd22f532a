"""A site on another origin than the API, with one script tag of the API."""

from html import escape

from tests.browser.fake_api import FakeApi, post_id

POLICY = (
    "default-src 'none'; base-uri 'none'; style-src 'self'; "
    "script-src {api}; connect-src {media}; img-src {media}; media-src blob: {media}; "
)
"""The policy that docs/ui.md gives to sites, and the site's own style sheet: no inline styles, no
styles of the API."""


class Site:
    """Pages of the site.

    Attributes:
        url: The page's address: the API's server under its other name, which is another origin.
        media_hosts: Origins that the API redirects to.
    """

    def __init__(self, api: FakeApi, *media_hosts: str) -> None:
        self.api = api
        self.media_hosts = media_hosts
        self.url = f"{api.url.replace('127.0.0.1', 'localhost')}/site"

    def show(self, *elements: str, lang: str = "en") -> str:
        """Put these elements on the page, and return its address."""
        media = " ".join((self.api.url, *self.media_hosts))
        self.api.site_policy = POLICY.format(api=self.api.url, media=media)
        self.api.site_page = (
            f'<!doctype html><html lang="{lang}"><head><title>A feed</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<link rel="stylesheet" href="/site.css">'
            f'<script type="module" src="{self.api.url}/web/khronika-video.js"></script></head>'
            f"<body><main><h1>A feed</h1>{''.join(elements)}</main></body></html>"
        )
        return self.url


def video(name: str = "", children: str = "", **attributes: str | bool) -> str:
    """Return the element of the post with this name. ``_`` in attribute names becomes ``-``."""
    named: dict[str, str | bool] = {"id": name, "post-id": post_id(name)} if name else {}
    named |= {key.replace("_", "-"): value for key, value in attributes.items()}
    written = "".join(
        f" {key}" if value is True else f' {key}="{escape(str(value))}"'
        for key, value in named.items()
        if value is not False
    )
    return f"<khronika-video{written}>{children}</khronika-video>"
