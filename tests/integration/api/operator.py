"""An operator's browser without scripts: it keeps cookies, reads pages and sends their forms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import Cookie, CookieJar
from typing import Any
from urllib.parse import urljoin

import requests

from tests.conditions import PATIENCE_SEC
from tests.integration.api.conftest import Client, token

VOID = frozenset({"input", "meta", "link", "br", "img", "option"})


@dataclass
class Form:
    """A form as it stands: where it goes, what it would send, what its buttons say."""

    method: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    ticks: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """An answer, read."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__()
        self.answer = answer
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self._words: list[str] = []
        self._open: list[tuple[str, str]] = []
        self._began: list[int] = []
        self._of: list[tuple[tuple[str, str], str]] = []
        self._in_button = False
        self.feed(answer.text)
        self.close()

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words).split())

    @property
    def raw_text(self) -> str:
        """The words as they are, white space and all."""
        return "".join(self._words)

    @property
    def scripts(self) -> str:
        """What stands inside script elements."""
        return "".join(self.of_tag("script"))

    def of_class(self, name: str) -> list[str]:
        """The words of each element of this class, in order."""
        return [words for (_, given), words in self._of if name in given.split()]

    def of_tag(self, name: str) -> list[str]:
        """The words of each element of this name, in order."""
        return [words for (tag, _), words in self._of if tag == name]

    def form(self, action: str) -> Form:
        """The one form that goes there."""
        [found] = [form for form in self.forms if form.action.split("?")[0] == action]
        return found

    def actions(self) -> set[str]:
        """Where forms that change something go."""
        return {form.action for form in self.forms if form.method == "post"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag == "form":
            self.forms.append(Form(named.get("method") or "get", named.get("action") or ""))
        elif tag == "input" and named.get("name") and self.forms:
            chosen = (named["name"] or "", named.get("value") or "")
            kept = self.forms[-1].ticks if named.get("type") == "checkbox" else None
            (self.forms[-1].fields if kept is None else kept).append(chosen)
        elif tag == "a" and named.get("href"):
            self.links.append(named["href"] or "")
        self._in_button = tag == "button"
        if tag not in VOID:
            self._open.append((tag, named.get("class") or ""))
            self._began.append(len(self._words))

    def handle_endtag(self, tag: str) -> None:
        self._in_button = False
        while self._open:
            element, began = self._open.pop(), self._began.pop()
            words = " ".join("".join(self._words[began:]).split())
            self._of.append((element, words))
            if element[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        self._words.append(data)
        if self._in_button and self.forms:
            self.forms[-1].buttons.append(data.strip())


class Operator:
    """Somebody at the console."""

    def __init__(self, api: Client) -> None:
        self.url = api.url
        self.http = requests.Session()

    @property
    def cookie(self) -> Cookie:
        """The one that they were given."""
        jar: CookieJar = self.http.cookies
        [only] = jar
        return only

    def get(self, path: str, **options: Any) -> Page:
        return self._read("GET", path, **options)

    def post(self, path: str, fields: Mapping[str, Any] | list[tuple[str, str]]) -> Page:
        return self._read("POST", path, data=fields)

    def submit(self, form: Form, *more: tuple[str, str]) -> Page:
        """Send a form with its hidden fields, and with others besides."""
        given = {name for name, _ in more}
        fields = [*(each for each in form.fields if each[0] not in given), *more]
        if form.method == "post":
            return self.post(form.action, fields)
        return self.get(form.action, params=fields)

    def sign_in(self, pasted: str, path: str = "/ops/sign-in") -> Page:
        form = self.get(path).form("/ops/sign-in")
        return self.submit(form, ("token", pasted))

    def _read(self, method: str, path: str, **options: Any) -> Page:
        address = urljoin(self.url, path)
        return Page(self.http.request(method, address, timeout=PATIENCE_SEC, **options))


def signed_in(api: Client, role: str = "service_role", **claims: Any) -> Operator:
    """An operator who has signed in with a token of this role."""
    operator = Operator(api)
    page = operator.sign_in(token("ops", role=role, **claims))
    assert page.status == 200, page.text
    return operator
