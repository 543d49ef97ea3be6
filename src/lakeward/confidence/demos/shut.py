"""Shutting a process off: no network, no file written, no program started, whatever it runs.

In: nothing; the process that calls is the one that is shut, for good, with all its threads. Out:
what holds from now on: `network` (a name space without any), `calls` (the kernel refuses system
calls). Nothing fails: where a kernel has no such thing, the limits of `resource` are what is left.

    allowed        reading files, memory, threads, pipes that are open already
    EPERM          sockets, exec, ptrace, io_uring, making, changing, moving and removing files
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import platform
import resource
import signal
import struct
import sys
from typing import Final

CLONE_NEWNET: Final = 0x40000000
CLONE_NEWUSER: Final = 0x10000000
NO_NEW_PRIVILEGES: Final = 38
SECCOMP: Final = 22
FILTER: Final = 2
WRITES: Final = 0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000
"""Of open(2): O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, and what O_TMPFILE has of its own."""
X86: Final = (0xC000003E, 2, 257, (
    41, 42, 43, 49, 50, 53, 288,  # socket, connect, accept, bind, listen, socketpair, accept4
    59, 322, 101, 310, 311,  # execve, execveat, ptrace, process_vm_readv, process_vm_writev
    425, 426, 427, 437,  # io_uring_setup, _enter, _register; openat2
    76, 77, 82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94, 133,  # truncate to lchown, mknod
    258, 259, 260, 263, 264, 265, 266, 268, 316, 161, 165, 155, 62, 200, 234,  # …at, chroot, kill
))  # fmt: skip
"""Architecture; open and openat, whose flags decide; calls that are refused whatever they say."""
ARM: Final = (0xC00000B7, None, 56, (
    198, 203, 202, 200, 201, 199, 242, 221, 281, 117, 270, 271, 425, 426, 427, 437, 45, 46, 38, 34,
    35, 36, 37, 33, 52, 53, 54, 55, 276, 51, 40, 41, 129, 130, 131,
))  # fmt: skip
LOAD, EQUALS, ATLEAST, ANY, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW: Final = 0x7FFF0000
REFUSE: Final = 0x00050000 | errno.EPERM
X32: Final = 0x40000000
"""From here on numbers are of x86-64's other face, which has the same calls again."""


def shut() -> list[str]:
    """Shut this process off; what holds."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails; nobody is killed for it
    if sys.platform != "linux":
        return []
    held = []
    libc = ctypes.CDLL(None, use_errno=True)
    if any(libc.unshare(flags) == 0 for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET)):
        held.append("network")
    with contextlib.suppress(KeyError):
        if _refuse_calls(libc, {"x86_64": X86, "aarch64": ARM}[platform.machine()]):
            held.append("calls")
    return held


def _refuse_calls(
    libc: ctypes.CDLL, machine: tuple[int, int | None, int, tuple[int, ...]]
) -> bool:  # fmt: skip
    """Put a filter before the kernel; threads that begin later have it, too."""
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    program = _program(*machine)
    count = len(program) // 8
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many instructions, and where they are
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", count, ctypes.addressof(code)))
    return bool(libc.prctl(SECCOMP, FILTER, head, 0, 0) == 0)


def _program(arch: int, open_: int | None, openat: int, refused: tuple[int, ...]) -> bytes:
    """Instructions of classic BPF over `struct seccomp_data`: number at 0, architecture at 4,
    arguments from 16 on."""
    code = [_step(LOAD, 4), _step(EQUALS, arch, 1, 0), _step(RETURN, REFUSE), _step(LOAD, 0),
            _step(ATLEAST, X32, 0, 1), _step(RETURN, REFUSE)]  # fmt: skip
    for number in refused:
        code += [_step(EQUALS, number, 0, 1), _step(RETURN, REFUSE)]
    opens: tuple[tuple[int | None, int], ...] = ((open_, 24), (openat, 32))
    for call, flags in opens:
        if call is not None:
            code += [_step(EQUALS, call, 0, 4), _step(LOAD, flags), _step(ANY, WRITES, 0, 1),
                     _step(RETURN, REFUSE), _step(RETURN, ALLOW)]  # fmt: skip
    return b"".join([*code, _step(RETURN, ALLOW)])


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)
