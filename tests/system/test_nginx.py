"""The API behind nginx, with the configuration that docs/deploy gives."""

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

PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
EXAMPLE = (CHECKOUT / "docs" / "deploy" / "nginx.conf").read_text()
BELOW = "location / {\n        proxy_pass http://127.0.0.1:8080;"

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(PROGRAM is None, reason="nginx is missing: apt-get install nginx-light"),
]

AROUND = """
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/errors;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{server}
}}
"""


def configuration(folder: Path, port: int, own: str, prefix: str) -> str:
    """Return the example for loopback, without TLS."""
    server = "\n".join(line for line in EXAMPLE.splitlines() if "ssl_" not in line)
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port}",
        "listen [::]:443 ssl": f"listen [::1]:{port}",
        BELOW: BELOW
        if not prefix
        else f"location {prefix}/ {{\nproxy_pass http://127.0.0.1:8080/;",
        "127.0.0.1:8080": urlsplit(own).netloc,
    }
    for example, here in changes.items():
        assert example in server
        server = server.replace(example, here)
    user = "user root;" if os.geteuid() == 0 else ""
    return AROUND.format(folder=folder, server=server, user=user)


@contextmanager
def behind_nginx(prefix: str, environment: Mapping[str, str], folder: Path) -> Iterator[Published]:
    port = free_port()
    url = f"http://127.0.0.1:{port}{prefix}"
    with api_for(url, environment, folder / "log") as own:
        (folder / "nginx.conf").write_text(configuration(folder, port, own, prefix))
        assert PROGRAM is not None
        command: list[str | Path] = [PROGRAM, "-p", folder, "-c", folder / "nginx.conf"]
        with running_proxy(command, url, folder / "errors") as api:
            yield api


@pytest.mark.parametrize("prefix", ["", "/video"])
def test_the_example_publishes_the_whole_api(
    environment: Mapping[str, str], tmp_path: Path, prefix: str
) -> None:
    with behind_nginx(prefix, environment, tmp_path) as api:
        for check in CHECKS:
            check(api)


def test_a_client_of_ipv6_is_counted_by_its_own_address(
    environment: Mapping[str, str], tmp_path: Path, postgres_url: str
) -> None:
    with behind_nginx("", environment, tmp_path) as api:
        check_ipv6_client(api, postgres_url)
