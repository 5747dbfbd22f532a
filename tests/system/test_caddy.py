"""The API behind Caddy, with the configuration that docs/deploy gives."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stack.home import CHECKOUT
from stack.ports import free_port
from tests.integration.api.conftest import environment
from tests.integration.api.published import CHECKS, Published, api_for
from tests.system.proxies import check_ipv6_client, running_proxy

__all__ = ["environment"]

PROGRAM = shutil.which("caddy")
EXAMPLE = (CHECKOUT / "docs" / "deploy" / "Caddyfile").read_text()
SITE, PROXY = "video.site.example {", "\n\treverse_proxy 127.0.0.1:8080\n"
BELOW = "\n\thandle_path /video/* {\n\t\treverse_proxy 127.0.0.1:8080\n\t}\n"
AROUND = """{{
\tadmin off
\tauto_https off
\tlog {{
\t\toutput file {folder}/errors
\t}}
}}
"""

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(PROGRAM is None, reason="Caddy is missing: apt-get install caddy"),
]


def configuration(folder: Path, port: int, own: str, prefix: str) -> str:
    """Return the example for loopback, without TLS, and below a path if its comment says how."""
    assert BELOW.replace("\n\t", "\n\t# ") in EXAMPLE
    changes = {
        SITE: f"http://127.0.0.1:{port}, http://[::1]:{port} {{",
        PROXY: BELOW.replace("/video", prefix) if prefix else PROXY,
        "127.0.0.1:8080": urlsplit(own).netloc,
    }
    site = EXAMPLE
    for example, here in changes.items():
        assert example in site
        site = site.replace(example, here)
    return AROUND.format(folder=folder) + site


@contextmanager
def behind_caddy(prefix: str, environment: Mapping[str, str], folder: Path) -> Iterator[Published]:
    port = free_port()
    url = f"http://127.0.0.1:{port}{prefix}"
    with api_for(url, environment, folder / "log") as own:
        path = folder / "Caddyfile"
        path.write_text(configuration(folder, port, own, prefix))
        (folder / "errors").touch()
        assert PROGRAM is not None
        command: list[str | Path] = [PROGRAM, "run", "--adapter", "caddyfile", "--config", path]
        homes = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        with running_proxy(command, url, folder / "errors", {**os.environ, **homes}) as api:
            yield api


@pytest.mark.parametrize("prefix", ["", "/video"])
def test_the_example_publishes_the_whole_api(
    environment: Mapping[str, str], tmp_path: Path, prefix: str
) -> None:
    with behind_caddy(prefix, environment, tmp_path) as api:
        for check in CHECKS:
            check(api)


def test_a_client_of_ipv6_is_counted_by_its_own_address(
    environment: Mapping[str, str], tmp_path: Path, postgres_url: str
) -> None:
    with behind_caddy("", environment, tmp_path) as api:
        check_ipv6_client(api, postgres_url)
