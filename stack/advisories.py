"""Known advisories of all that is locked: ``python -m stack.advisories`` asks OSV for them.

The packages are those of the bill of materials, Python's and npm's, with their locked versions. The
exit code is 0 if there is no advisory, 1 if there is one, and 2 if OSV could not be asked.
"""

import sys
from collections.abc import Sequence

import requests

from stack.sbom import make_document

OSV_URL = "https://api.osv.dev/v1/querybatch"
AT_ONCE = 500
"""OSV takes a thousand questions at once."""
TIMEOUT_SEC = 30.0
OFFLINE = (
    "The advisories could not be asked for: {error}.\n"
    "This check needs the network. Run it on a machine that reaches {url},\n"
    "or give khronika.cdx.json (make sbom) to a scanner that has its own copy of the advisories.\n"
    "No other check depends on it."
)


def list_packages() -> list[str]:
    """Return the package addresses that OSV knows advisories by."""
    purls = [str(component["purl"]) for component in make_document()["components"]]
    return [purl for purl in purls if purl.startswith(("pkg:pypi/", "pkg:npm/"))]


def find_advisories(purls: Sequence[str], url: str = OSV_URL) -> dict[str, list[str]]:
    """Return the ids of the advisories of each package that has any.

    Raises:
        requests.RequestException: OSV gave no answer.
    """
    found = {}
    for first in range(0, len(purls), AT_ONCE):
        asked = purls[first : first + AT_ONCE]
        queries = {"queries": [{"package": {"purl": purl}} for purl in asked]}
        answer = requests.post(url, json=queries, timeout=TIMEOUT_SEC)
        answer.raise_for_status()
        for purl, result in zip(asked, answer.json()["results"], strict=True):
            if ids := [each["id"] for each in result.get("vulns", ())]:
                found[purl] = ids
    return found


def main(url: str = OSV_URL) -> int:
    """Print the advisories, and return the exit code."""
    purls = list_packages()
    try:
        found = find_advisories(purls, url)
    except requests.RequestException as error:
        sys.stderr.write(OFFLINE.format(error=type(error).__name__, url=url) + "\n")
        return 2
    for purl, ids in sorted(found.items()):
        sys.stdout.write(f"{purl}: {', '.join(ids)}\n")
    sys.stdout.write(f"{len(purls)} packages, {len(found)} with advisories\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
