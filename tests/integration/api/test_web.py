"""/web/: the player element, and the library it loads."""

import gzip

import pytest
import requests

from api.routes.web import ROOT, without_comments
from tests.integration.api.conftest import Client
from tests.pinned_library import HLS_FOLDER, HLS_JS

ELEMENT = "/web/khronika-video.js"


def read(api: Client, path: str = ELEMENT, **headers: str) -> requests.Response:
    """Ask for the plain bytes unless told otherwise."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.get(path, as_=None, headers={"Accept-Encoding": "identity", **named})


def test_a_page_of_any_site_may_load_the_element(api: Client) -> None:
    answer = read(api, Origin="https://elsewhere.example")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "public, no-cache"


def test_who_takes_gzip_gets_it_as_a_representation_of_its_own(api: Client) -> None:
    plain = read(api)
    compressed = read(api, Accept_Encoding="gzip")
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert compressed.content == plain.content
    assert int(compressed.headers["Content-Length"]) == len(
        gzip.compress(plain.content, 9, mtime=0)
    )
    assert compressed.headers["ETag"] != plain.headers["ETag"]
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Content-Encoding" not in plain.headers


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_who_holds_it_is_not_sent_it_again(api: Client, encoding: str) -> None:
    tag = read(api, Accept_Encoding=encoding).headers["ETag"]
    assert not tag.startswith("W/")
    again = read(api, Accept_Encoding=encoding, If_None_Match=tag)
    assert (again.status_code, again.content) == (304, b"")


def test_a_changed_file_is_another_version_at_once(
    api: Client, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("web")
    monkeypatch.setattr("api.routes.web.ROOT", folder)
    (folder / "one.js").write_text("export default 1;\n")
    before = read(api, "/web/one.js")
    (folder / "one.js").write_text("export default 2;\n")
    after = read(api, "/web/one.js")
    assert (before.text, after.text) == ("export default 1;\n", "export default 2;\n")
    assert before.headers["ETag"] != after.headers["ETag"]


def test_the_library_is_kept_for_ever_at_an_address_with_its_version(api: Client) -> None:
    answer = read(api, HLS_JS)
    assert answer.content == (ROOT / "node_modules/hls.js/dist/hls.light.min.mjs").read_bytes()
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_the_licence_of_the_library_stands_beside_it(api: Client) -> None:
    answer = read(api, f"{HLS_FOLDER}/LICENSE")
    assert "Apache License" in answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path",
    [
        "/web/",
        "/web/no-such.js",
        "/web/package.json",
        "/web/package-lock.json",
        "/web/.npmrc",
        "/web/types.d.ts",
        "/web/eslint.config.js",
        "/web/node_modules/hls.js/dist/hls.js",
        "/web/..%2fapi%2fapp.py",
        "/web/%2e%2e/cli/main.js",
        "/web/vendor/hls.js/1.0.0/hls.light.min.mjs",
        f"{HLS_FOLDER}/hls.min.js",
        "/web/vendor/eslint/10.15.0/LICENSE",
    ],
)
def test_nothing_else_is_served(api: Client, path: str) -> None:
    answer = read(api, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_comments_and_indentation_stay_behind_and_lines_keep_their_numbers() -> None:
    source = (
        "/**\n * What it is.\n */\n"
        "const a = /** @type {any} */ (1); // stays\n"
        "  // goes\n"
        "/** @type {A} */ (a).b = 1;\n"
        "const c = `\n  * { margin: 0 }\n`;\n"
        "/* one */\n"
    )
    assert without_comments(source).split("\n") == [
        *("", "", ""),
        "const a = (1); // stays",
        "",
        "(a).b = 1;",
        *("const c = `", "* { margin: 0 }", "`;", "", ""),
    ]
