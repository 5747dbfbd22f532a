"""The checks that compare more than the books of one instant, and the breaches of a play."""

from collections import Counter
from collections.abc import Mapping
from uuid import UUID

from tests.laws.books import Books
from tests.laws.checks import Checks, findings, merged
from tests.laws.finding import Finding
from tests.laws.law import Law

Breaches = Mapping[Law, list[str]]


def posted_once(posts: list[UUID], books: Books) -> Finding:
    """Require one request an attempt: this provider makes a job of every request it gets."""
    finding = Finding()
    for id_, number in Counter(map(str, posts)).items():
        attempt = books.attempt_of[id_]
        what = f"attempt {attempt.number} was posted {number} times"
        finding.require(number == 1, attempt.asset_id, what)
    return finding


def tokens_never_fall(before: Books, now: Books) -> Finding:
    """Require tokens that are no lower than they were: a stale writer must not match again."""
    finding = Finding()
    for id_, asset in before.asset_of.items():
        token = now.asset_of[id_].lease_token
        what = f"token {asset.lease_token} became {token}"
        finding.require(token >= asset.lease_token, id_, what)
    return finding


def breaches(books: Books, *laws: Checks[Books]) -> Breaches:
    """Return every violation of these laws, and nothing of laws that hold."""
    found = merged(*(findings(books, of) for of in laws))
    return {
        law: [f"{violation.asset_id}: {violation.what}" for violation in finding.violations]
        for law, finding in found.items()
        if finding.violations
    }
