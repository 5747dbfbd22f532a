"""A decoder that a file has taken over: a program that tries all that an attacker would try.

``python -m tests.hostile.taken_over FOLDER`` makes victims in the folder, runs the attacker in the
jail of an encode as the present user, and prints the name and the end of each attack as JSON.
"""

import json
import os
import sys
from pathlib import Path

from pipeline.media import confined
from pipeline.media.child_process import run_child
from pipeline.media.confinement import GIB, MIB, NO_FILES, Confinement, Reach

SECRET = "of nobody's business"
INTERPRETERS = (os.path.realpath(sys.executable), "/usr/bin/python3")
LIMITS = Confinement(memory_bytes=GIB, cpu_sec=20, file_bytes=MIB)
DONE = "done"
NO_INTERPRETER = 77

ATTACKER = """
import _socket, json, os, signal, sys
at = json.loads(sys.argv[1])
parent = os.getppid()

def read(path): open(path, "rb").read(1)
def write(path): open(path, "ab").write(b"#")
def empty(path): os.close(os.open(path, os.O_RDONLY | os.O_TRUNC))

ATTACKS = {
    "allowed: read the input": lambda: read(at["source"]),
    "allowed: write an output": lambda: write(at["outputs"] + "/720p/seg_00000.m4s"),
    "allowed: rename an output": lambda: os.rename(
        at["outputs"] + "/720p/seg_00000.m4s", at["outputs"] + "/720p/seg_00001.m4s"),
    "read the secrets of the stack": lambda: read(at["secrets"]),
    "read another owner's original": lambda: read(at["original"]),
    "read our code": lambda: read(at["code"]),
    "read the passwords of the machine": lambda: read("/etc/shadow"),
    "read the users of the machine": lambda: read("/etc/passwd"),
    "read another attempt's scratch": lambda: read(at["scratch"] + "/other/source"),
    "read the parent's environment": lambda: read(f"/proc/{parent}/environ"),
    "read the parent's memory": lambda: open(f"/proc/{parent}/mem", "rb+"),
    "read the parent's command": lambda: read(f"/proc/{parent}/cmdline"),
    "read the parent's descriptors": lambda: os.readlink(f"/proc/{parent}/fd/0"),
    "read init's environment": lambda: read("/proc/1/environ"),
    "read its own environment": lambda: read("/proc/self/environ"),
    "write into our code": lambda: write(at["code"]),
    "write beside our code": lambda: write(os.path.dirname(at["code"]) + "/planted.py"),
    "write the secrets of the stack": lambda: write(at["secrets"]),
    "write its input": lambda: write(at["source"]),
    "write another attempt's scratch": lambda: write(at["scratch"] + "/other/outputs"),
    "write beside its outputs": lambda: write(at["scratch"] + "/own/planted"),
    "write into a public folder": lambda: write("/tmp/khronika-planted"),
    "empty the secrets of the stack": lambda: empty(at["secrets"]),
    "shorten the secrets of the stack": lambda: os.truncate(at["secrets"], 0),
    "remove the secrets of the stack": lambda: os.unlink(at["secrets"]),
    "move the secrets into the outputs": lambda: os.rename(
        at["secrets"], at["outputs"] + "/720p/seg_00002.m4s"),
    "link the secrets into the outputs": lambda: os.link(
        at["secrets"], at["outputs"] + "/720p/seg_00003.m4s"),
    "link to the secrets from the outputs": lambda: os.symlink(
        at["secrets"], at["outputs"] + "/720p/seg_00004.m4s"),
    "make a folder in the outputs": lambda: os.mkdir(at["outputs"] + "/planted"),
    "make a pipe in the outputs": lambda: os.mkfifo(at["outputs"] + "/pipe"),
    "list the root": lambda: os.listdir("/"),
    "list the processes": lambda: os.listdir("/proc"),
    "list the scratch folder": lambda: os.listdir(at["scratch"]),
    "list the storage": lambda: os.listdir(os.path.dirname(at["original"])),
    "list our code": lambda: os.listdir(os.path.dirname(at["code"])),
    "open a connection": lambda: _socket.socket(),
    "open a local connection": lambda: _socket.socket(_socket.AF_UNIX),
    "open a connection to the kernel": lambda: _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW),
    "signal the parent": lambda: os.kill(parent, signal.SIGCONT),
    "start a process": lambda: os._exit(0) if os.fork() == 0 else None,
    "become another program": lambda: os.execv("/bin/true", ["true"]),
}
ends = {}
for name, attack in ATTACKS.items():
    try:
        attack()
    except OSError as error:
        ends[name] = error.strerror
    else:
        ends[name] = "done"
print(json.dumps(ends))
"""


def main(folder: Path) -> None:
    victims = make_victims(folder)
    reach = Reach(reads=(victims["source"],), writes=victims["outputs"])
    at = json.dumps({name: str(path) for name, path in victims.items()})
    command = [_interpreter(), "-I", "-S", "-c", ATTACKER, at]
    done = run_child(command, LIMITS, reach, timeout_sec=60, max_output_bytes=MIB)
    sys.stderr.buffer.write(done.stderr)
    sys.stdout.buffer.write(done.stdout)


def _interpreter() -> str:
    """Return an interpreter that the attacker may run: ours may lie in root's private home."""
    for path in INTERPRETERS:
        done = run_child([path, "-V"], LIMITS, NO_FILES, timeout_sec=20, max_output_bytes=1000)
        if done.returncode == 0:
            return path
    sys.exit(NO_INTERPRETER)


def make_victims(folder: Path) -> dict[str, Path]:
    """Make the files of a small stack, all of which belong to the present user."""
    victims = {
        "secrets": folder / ".khronika" / "secrets.json",
        "original": folder / "storage" / "originals" / "another" / "video.mp4",
        "source": folder / "scratch" / "own" / "source",
        "other": folder / "scratch" / "other" / "source",
    }
    for path in victims.values():
        path.parent.mkdir(parents=True)
        path.write_text(SECRET)
    outputs = folder / "scratch" / "own" / "outputs"
    (outputs / "720p").mkdir(parents=True)
    return {
        **victims,
        "outputs": outputs,
        "scratch": folder / "scratch",
        "code": Path(confined.__file__),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
