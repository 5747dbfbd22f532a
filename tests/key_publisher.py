"""An issuer of tokens: it has private keys, and publishes the public ones on a real port."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
AUDIENCE = "authenticated"


@cache
def private_key(algorithm: str, name: str = "first") -> PrivateKey:
    """A key of this session; RSA's take a while to make."""
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 1024 if name == "short" else 2048)


def public_jwk(
    algorithm: str, kid: str | None, name: str = "first", **members: Any
) -> dict[str, Any]:
    """The public half as it is published; a member given as None is left out."""
    made = get_default_algorithms()[algorithm].to_jwk(
        private_key(algorithm, name).public_key(), as_dict=True
    )
    every = {**made, "kid": kid, "alg": algorithm, "use": "sig", "key_ops": None, **members}
    return {member: value for member, value in every.items() if value is not None}


def public_pem(algorithm: str) -> bytes:
    public = private_key(algorithm).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def claims(issuer: str, **changed: Any) -> dict[str, Any]:
    """What a token of this issuer says; a claim given as None is left out."""
    every = {
        "sub": "ana",
        "iss": issuer,
        "aud": AUDIENCE,
        "exp": int(time.time()) + 86400,  # made when a module is read, used much later
        "role": "authenticated",
        **changed,
    }
    return {claim: value for claim, value in every.items() if value is not None}


def signed(
    said: dict[str, Any],
    algorithm: str = "RS256",
    *,
    kid: str | None = "one",
    name: str = "first",
    **headers: Any,
) -> str:
    """A token as the issuer would make it."""
    given = headers if kid is None else {"kid": kid, **headers}
    return jwt.encode(said, private_key(algorithm, name), algorithm=algorithm, headers=given)


@dataclass
class Publisher:
    """What is published, how, and how often somebody asked."""

    url: str = ""
    status: int = 200
    body: bytes = b'{"keys": []}'
    asked: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def publish(self, *keys: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": keys}).encode()


@contextmanager
def publishing(*keys: dict[str, Any]) -> Iterator[Publisher]:
    """Serve these keys on loopback."""
    publisher = Publisher()
    publisher.publish(*keys)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.asked += 1
            is_elsewhere = self.path != "/keys"
            self.send_response(200 if is_elsewhere else publisher.status)
            for name, value in ({} if is_elsewhere else publisher.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(publisher.body)))
            self.end_headers()
            self.wfile.write(publisher.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    publisher.url = f"http://127.0.0.1:{server.server_port}/keys"
    try:
        yield publisher
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
