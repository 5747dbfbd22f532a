"""Filter of the system calls that a confined program may make (seccomp(2)).

The filter is a list: calls outside it fail with EPERM, and the ones that only an attacker needs
kill the program. The list holds the calls that ffmpeg and ffprobe made over all clips of the tests,
and their relatives that other builds and C libraries make. It is a program for the kernel's
classic BPF machine, made here by `struct`: pyseccomp would need libseccomp, a library of the
system, in the place of 40 lines.
"""

import platform
import struct
from collections.abc import Iterable
from functools import cache

_EPERM, _ENOSYS = 1, 38

# <linux/bpf_common.h> and <linux/seccomp.h>
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _MASK, _RETURN = 0x20, 0x15, 0x45, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT, _ARGUMENT_BYTES = 0, 4, 16, 8
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 0, "aarch64": 1}

_CLONE, _CLONE_THREAD = (56, 220), 0x00010000
_CLONE3 = 435  # its flags lie in memory, which a filter cannot read

_Numbers = tuple[int | None, int | None]
"""Numbers of a call on x86-64 and aarch64 (asm/unistd_64.h, asm-generic/unistd.h)."""

_ALLOWED: dict[str, _Numbers] = {
    # Files; Landlock decides which.
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "close": (3, 57),
    "lseek": (8, 62),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents": (78, None),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "ftruncate": (77, 46),
    "fallocate": (285, 47),
    "fadvise64": (221, 223),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "umask": (95, 166),
    "fcntl": (72, 25),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    # Memory.
    "brk": (12, 214),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    # Threads and signals within the process.
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "set_tid_address": (218, 96),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126),
    "getcpu": (309, 168),
    "gettid": (186, 178),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # The launcher becomes the program; Landlock decides which programs there are.
    "execve": (59, 221),
    "arch_prctl": (158, None),
    # Time, randomness, and facts about the process and the machine.
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "uname": (63, 160),
}

_ALLOWED_IF: dict[_Numbers, tuple[int, tuple[int, ...]]] = {
    # prctl: PR_SET_NAME, PR_GET_NAME, PR_SET_VMA (glibc names the memory of threads)
    (157, 167): (0, (15, 16, 0x53564D41)),
    # ioctl: TCGETS, FIOCLEX, FIONREAD; among the others are some that type into a terminal.
    (16, 29): (1, (0x5401, 0x5451, 0x541B)),
    # prlimit64 of the process itself
    (302, 261): (0, (0,)),
}
"""Calls that are allowed if an argument has one of the values."""

_OPEN: dict[_Numbers, int] = {(2, None): 1, (257, 56): 2}
"""open and openat, with the argument that holds the flags."""
_O_ACCMODE, _O_TRUNC = 0o3, 0o1000

_KILLED: dict[str, _Numbers] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
}


@cache
def call_filter(machine: str = platform.machine()) -> bytes:
    """Make the filter for a machine; empty if the numbers of its calls are not known here."""
    if machine not in _COLUMN:
        return b""
    steps = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_IF_EQUAL, _AUDIT_ARCH[machine], then=1),
        _step(_RETURN, _KILL),  # the 32-bit interface numbers its calls differently
        _step(_LOAD, _NUMBER_AT),
    ]
    for number in _numbers(_ALLOWED.values(), machine):
        steps += _verdict_on(number, _ALLOW)
    for numbers, (argument, values) in _ALLOWED_IF.items():
        for number in _numbers([numbers], machine):
            steps += _allow_if(number, argument, values)
    for numbers, argument in _OPEN.items():
        for number in _numbers([numbers], machine):
            steps += _allow_open(number, argument)
    for number in _numbers([_CLONE], machine):
        steps += _allow_threads(number)
    for number in _numbers(_KILLED.values(), machine):
        steps += _verdict_on(number, _KILL)
    # ENOSYS makes libraries fall back on clone, whose flags tell a thread from a process.
    steps += [*_verdict_on(_CLONE3, _FAIL | _ENOSYS), _step(_RETURN, _FAIL | _EPERM)]
    return b"".join(steps)


def _numbers(calls: Iterable[_Numbers], machine: str) -> list[int]:
    column = [numbers[_COLUMN[machine]] for numbers in calls]
    return [number for number in column if number is not None]


def _verdict_on(number: int, verdict: int) -> list[bytes]:
    return [_step(_IF_EQUAL, number, otherwise=1), _step(_RETURN, verdict)]


def _allow_if(number: int, argument: int, values: tuple[int, ...]) -> list[bytes]:
    """Decide on one call by an argument; its upper half is not read, as the kernel ignores it."""
    decision = [_load_argument(argument)]
    for value in values:
        decision += _verdict_on(value, _ALLOW)
    decision.append(_step(_RETURN, _FAIL | _EPERM))
    return [_step(_IF_EQUAL, number, otherwise=len(decision)), *decision]


def _allow_open(number: int, flags: int) -> list[bytes]:
    """Allow an open, unless it empties a file that it opens for reading.

    Landlock has no right for that before Linux 6.2, so it would empty any file that is readable.
    """
    return [
        _step(_IF_EQUAL, number, otherwise=5),
        _load_argument(flags),
        _step(_MASK, _O_ACCMODE | _O_TRUNC),
        _step(_IF_EQUAL, _O_TRUNC, otherwise=1),
        _step(_RETURN, _FAIL | _EPERM),
        _step(_RETURN, _ALLOW),
    ]


def _allow_threads(clone: int) -> list[bytes]:
    return [
        _step(_IF_EQUAL, clone, otherwise=4),
        _load_argument(0),
        _step(_IF_ANY_BIT, _CLONE_THREAD, otherwise=1),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _FAIL | _EPERM),
    ]


def _load_argument(index: int) -> bytes:
    return _step(_LOAD, _ARGUMENTS_AT + index * _ARGUMENT_BYTES)


def _step(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """Encode one instruction (struct sock_filter); the jumps count the steps to skip."""
    return struct.pack("@HBBI", code, then, otherwise, value)
