"""The script that installs system packages for tests, over stand-ins for the programs it calls."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("install.sh")
OWN_POLICY = "#!/bin/sh\nexit 0\n"
STAND_INS = {
    "id": "echo 0",
    "dpkg": '[ -e "$ROOT/installed-$2" ]',
    # A package asks the policy, starts its service if it may, and enables it.
    "apt-get": """
for last; do :; done
[ "$last" = update ] && exit
sh "$POLICY_RC_D" "$last" start
[ $? = 101 ] || echo "$last" >>"$ROOT/running"
[ -z "$STOP_AT" ] || kill -TERM "$PPID"
echo "$last.service enabled" >>"$ROOT/units"
touch "$ROOT/installed-$last"
""",
    "systemctl": """
case $1 in
list-unit-files) cat "$ROOT/units" ;;
disable) echo "$2" >>"$ROOT/disabled" ;;
esac
""",
    "chromium": "",
}
WANTED = "libfaketime", "pgbouncer", "rabbitmq-server", "nginx-light", "caddy", "prometheus"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the stand-ins, and with a machine on which one service is enabled."""
    (tmp_path / "bin").mkdir()
    for name, body in STAND_INS.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    (tmp_path / "units").write_text("ssh.service enabled\n")
    return tmp_path


def install(root: Path, stop_at: str = "") -> int:
    env = {
        "PATH": f"{root / 'bin'}:{os.defpath}",
        "ROOT": str(root),
        "POLICY_RC_D": str(root / "policy-rc.d"),
        "STOP_AT": stop_at,
    }
    return subprocess.run(["/bin/sh", SCRIPT], env=env, check=False).returncode


@pytest.mark.parametrize("own", [OWN_POLICY, None], ids=["policy", "no policy"])
def test_no_service_is_started_or_enabled_and_the_policy_is_as_it_was(
    root: Path, own: str | None
) -> None:
    policy = root / "policy-rc.d"
    if own:
        policy.write_text(own)
    assert install(root) == 0
    assert all((root / f"installed-{name}").exists() for name in WANTED)
    assert not (root / "running").exists()
    assert (root / "disabled").read_text().split() == [f"{name}.service" for name in WANTED]
    assert (policy.read_text() if policy.exists() else None) == own
    assert [path.name for path in root.glob("policy-rc.d*")] == (["policy-rc.d"] if own else [])


def test_a_script_that_is_stopped_restores_the_policy(root: Path) -> None:
    (root / "policy-rc.d").write_text(OWN_POLICY)
    assert install(root, stop_at="install") in {130, -signal.SIGTERM}
    assert (root / "policy-rc.d").read_text() == OWN_POLICY
