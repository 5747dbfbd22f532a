"""Headers inside of joined FLV files, also of damaged and hostile ones."""

from pathlib import Path

from transcoder.encode.joined_flv import hide_inner_headers

HEADER = b"FLV\x01\x05\0\0\0\x09" + bytes(4)
SOUND, SCRIPT = 8, 18


def tag(kind: int, size: int, told: int | None = None) -> bytes:
    """A tag of zeros; it may tell another size than it has."""
    head = bytes([kind]) + (size if told is None else told).to_bytes(3) + bytes(7)
    return head + bytes(size) + (11 + size).to_bytes(4)


PART = HEADER + tag(SCRIPT, 20) + tag(SOUND, 30)


def kinds(content: bytes) -> list[int]:
    """The kinds of the tags of a file, read from its start."""
    found, at = [], len(HEADER)
    while at < len(content):
        found.append(content[at])
        size = int.from_bytes(content[at + 1 : at + 4])
        assert int.from_bytes(content[at + 11 + size : at + 15 + size]) == 11 + size
        at += 15 + size
    return found


def hidden(content: bytes, folder: Path) -> bytes:
    path = folder / "source.flv"
    path.write_bytes(content)
    hide_inner_headers(path)
    return path.read_bytes()


def test_a_header_and_its_metadata_become_a_tag_that_is_skipped(tmp_path: Path) -> None:
    found = hidden(PART * 3, tmp_path)
    assert len(found) == 3 * len(PART)
    assert kinds(found) == [SCRIPT, SOUND, 15, SOUND, 15, SOUND]


def test_a_header_without_metadata_vanishes_with_the_tag_before_it(tmp_path: Path) -> None:
    bare = HEADER + tag(SOUND, 30) + tag(SOUND, 30)
    assert kinds(hidden(bare * 2, tmp_path)) == [SOUND, 15, SOUND, SOUND]


def test_a_file_that_is_cut_off_anywhere_is_read_without_an_error(tmp_path: Path) -> None:
    whole = PART + HEADER + tag(SOUND, 30)
    for size in range(1, len(whole)):
        assert len(hidden(whole[:size], tmp_path)) == size


def test_sizes_that_lie_are_left_alone(tmp_path: Path) -> None:
    largest = 0xFFFFFF
    for lie in (
        HEADER * 2,
        PART + HEADER + tag(SCRIPT, 5, told=largest),
        HEADER + tag(SOUND, largest) + HEADER + tag(SOUND, 1),
    ):
        assert hidden(lie, tmp_path)[: len(HEADER)] == HEADER
