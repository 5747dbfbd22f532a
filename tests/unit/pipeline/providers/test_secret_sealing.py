import pytest

from pipeline.providers.secret_sealing import Vault, VaultLocked

KEY, OTHER = "k" * 32, "o" * 32
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_what_was_sealed_opens_for_its_account() -> None:
    sealed = Vault(KEY).seal(SECRET, account="selfhosted")
    assert Vault(KEY).open(sealed, account="selfhosted") == SECRET


def test_what_was_sealed_shows_neither_the_secret_nor_that_it_is_the_same() -> None:
    vault = Vault(KEY)
    first, second = (vault.seal(SECRET, account="selfhosted") for _ in range(2))
    assert SECRET.encode() not in first
    assert first != second


def test_a_row_that_was_copied_to_another_account_does_not_open() -> None:
    sealed = Vault(KEY).seal(SECRET, account="selfhosted")
    with pytest.raises(VaultLocked):
        Vault(KEY).open(sealed, account="mux")


def test_another_key_opens_nothing() -> None:
    sealed = Vault(KEY).seal(SECRET, account="selfhosted")
    with pytest.raises(VaultLocked):
        Vault(OTHER).open(sealed, account="selfhosted")


def test_after_a_change_of_the_key_the_previous_one_still_opens_and_no_longer_seals() -> None:
    changed = Vault(OTHER, [KEY])
    assert changed.open(Vault(KEY).seal(SECRET, account="a"), account="a") == SECRET
    with pytest.raises(VaultLocked):
        Vault(KEY).open(changed.seal(SECRET, account="a"), account="a")


@pytest.mark.parametrize("length", [0, 1, 11, 12, 27, 28])
def test_bytes_that_were_cut_do_not_open(length: int) -> None:
    sealed = Vault(KEY).seal(SECRET, account="a")
    with pytest.raises(VaultLocked):
        Vault(KEY).open(sealed[:length], account="a")


def test_every_changed_bit_is_noticed() -> None:
    sealed = Vault(KEY).seal("x", account="a")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(VaultLocked):
            Vault(KEY).open(bytes(changed), account="a")
