"""Sealing of small secrets under the installation's key: a copy of the database reveals none.

The cipher is AES-256-GCM with a random nonce (NIST SP 800-38D). Its key is derived by HKDF-SHA256
(RFC 5869) from ``KHRONIKA_SECRET_KEY`` with a label of its own, so that sealed values and
signatures made elsewhere with the same key reveal nothing of each other. The account's name is
authenticated data: a row that is copied to another account does not open.
"""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_LABEL = b"khronika.provider-secrets.v1"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class VaultLocked(Exception):
    """A sealed secret does not open: another key, another account, or changed bytes."""


class Vault:
    """Vault that seals with one key, and opens with that key and with earlier ones.

    Args:
        key: ``KHRONIKA_SECRET_KEY``.
        previous: Earlier values of it.
    """

    def __init__(self, key: str, previous: Sequence[str] = ()) -> None:
        self._ciphers = [AESGCM(_derived(one)) for one in (key, *previous)]

    def seal(self, secret: str, *, account: str) -> bytes:
        """Encrypt a secret; the same secret gives other bytes each time."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, secret.encode(), account.encode())

    def open(self, sealed: bytes, *, account: str) -> str:
        """Decrypt a secret that was sealed for this account.

        Raises:
            VaultLocked: none of the keys opens it.
        """
        nonce, box = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, box, account.encode()).decode()
            except (InvalidTag, ValueError):  # ValueError: too short to have been sealed
                continue
        raise VaultLocked


def _derived(key: str) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=_LABEL).derive(key.encode())
