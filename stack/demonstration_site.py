"""The demonstration site as ``make up`` runs it: a client of the API, with settings of its own."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from pipeline.storage.open import open_storage
from pipeline.storage.urls import Credentials
from stack.home import CHECKOUT, Home

PROCESS = "site"
PROCFILE = CHECKOUT / "examples" / "site" / "Procfile"
SAME_VALUES = (
    *("JWT_SECRET", "JWT_ISSUER", "JWT_AUDIENCE"),
    *("SOURCE_MAX_BYTES", "SOURCE_MAX_DURATION_SEC", "UPLOAD_EXPIRES_SEC"),
)
"""Settings of the API that a site has to know, too."""


def site_settings(home: Home, environment: Mapping[str, str], port: int) -> dict[str, str]:
    """Return the settings of the site, and those of the API that the site changes.

    Args:
        home: The folder of its posts.
        environment: The settings of the stack without a site.
        port: The port of the site.

    Raises:
        StorageUrlInvalid: ``STORAGE_URL`` names a bucket in a way that is not understood.
    """
    url = f"http://127.0.0.1:{port}"
    allowed = [environment.get("KHRONIKA_CORS_ORIGINS", ""), url]
    return {
        "KHRONIKA_CORS_ORIGINS": ",".join(filter(None, allowed)),
        "KHRONIKA_SITE_URL": url,
        "KHRONIKA_SITE_API_URL": environment["KHRONIKA_PUBLIC_URL"],
        "KHRONIKA_SITE_POSTS": str(home.root / "site-posts.json"),
        **_bucket(environment),
        **{
            f"KHRONIKA_SITE_{name}": environment[f"KHRONIKA_{name}"]
            for name in SAME_VALUES
            if f"KHRONIKA_{name}" in environment
        },
    }


def _bucket(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the setting of the bucket's address; nothing where videos lie in a folder."""
    url = environment["STORAGE_URL"]
    if not url.startswith("s3:"):
        return {}
    key_id = environment.get("KHRONIKA_STORAGE_KEY_ID")
    secret = environment.get("KHRONIKA_STORAGE_SECRET")
    credentials = Credentials(key_id, secret) if key_id and secret else None
    address = urlsplit(open_storage(url, credentials).presign_get("any", expires_sec=1) or "")
    return {"KHRONIKA_SITE_BUCKET_URL": f"{address.scheme}://{address.netloc}"}
