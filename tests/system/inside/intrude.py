#!/usr/bin/env python3
"""Stops a thread of another process by ptrace(2), or makes it execute system calls.

This tests a sandbox from inside: a thread of the daemon makes the call, so its seccomp filter, Landlock domain,
capabilities and mounts apply. x86-64 only.

    intrude.py hold TID      stops that thread alone and prints "held"; ends with the thread or at the end of input
"""

import ctypes
import errno
import os
import select
import signal
import struct
import sys
import time

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
GETREGS, SETREGS, SINGLESTEP = 12, 13, 9
WALL = 0x40000000

# struct user_regs_struct
FIELDS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
          "ds es fs gs").split()

# System call numbers of x86-64.
CALLS = {
    "close": 3, "mmap": 9, "socket": 41, "connect": 42, "execve": 59, "truncate": 76, "rename": 82, "mkdir": 83,
    "unlink": 87, "symlink": 88, "chmod": 90, "chown": 92, "ptrace": 101, "setuid": 105, "mknod": 133, "chroot": 161,
    "mount": 165, "keyctl": 250, "openat": 257, "unshare": 272, "perf_event_open": 298, "bpf": 321,
    "execveat": 322, "io_uring_setup": 425,
}
AT_FDCWD = -100

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, tid, address=0, data=0):
    if _libc.ptrace(request, tid, address, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace {request:#x} of {tid}: {os.strerror(number)}")


def _wait(tid):
    """Waits until the thread has stopped."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            pid, status = os.waitpid(tid, WALL | os.WNOHANG)
        except ChildProcessError:
            raise RuntimeError(f"thread {tid} has ended, so the call succeeded") from None
        if pid and not os.WIFSTOPPED(status):
            raise RuntimeError(f"thread {tid} ended, status {status:#x}")
        if pid:
            return
        time.sleep(0.001)
    raise RuntimeError(f"thread {tid} does not stop")


class Intruder:
    """A stopped thread that executes system calls on request. It must be waiting in a system call."""

    def __init__(self, pid, tid):
        self.pid, self.tid = pid, tid
        self.memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        _ptrace(SEIZE, tid)
        _ptrace(INTERRUPT, tid)
        _wait(tid)
        self.saved = self._registers()
        if os.pread(self.memory, 2, self.saved["rip"] - 2) != b"\x0f\x05":
            raise RuntimeError("the thread is not waiting in a system call")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is RuntimeError:
            # Its state is unknown, for example after an execve that succeeded.
            os.kill(self.pid, signal.SIGKILL)
            return
        registers = dict(self.saved)
        if registers["orig_rax"] < 1 << 63:
            # The interrupted system call returns EINTR, which every loop handles.
            registers.update(rax=-errno.EINTR, orig_rax=-1)
        self._set_registers(registers)
        _ptrace(DETACH, self.tid)
        os.close(self.memory)

    def call(self, name, *arguments):
        """Makes the call, with strings and bytes on the thread's stack. Returns the kernel's result: -errno if negative."""
        place = self.saved["rsp"] - 4096 & ~15
        numbers = []
        for argument in arguments:
            if isinstance(argument, str):
                argument = argument.encode() + b"\0"
            if isinstance(argument, bytes):
                os.pwrite(self.memory, argument, place)
                numbers.append(place)
                place += len(argument) + 15 & ~15
            else:
                numbers.append(argument)
        numbers += [0] * (6 - len(numbers))
        registers = dict(self.saved, rip=self.saved["rip"] - 2, rax=CALLS[name], orig_rax=-1)
        registers.update(zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), numbers))
        self._set_registers(registers)
        _ptrace(SINGLESTEP, self.tid)
        try:
            _wait(self.tid)
        except RuntimeError as error:
            raise RuntimeError(f"{name}{arguments}: {error}") from error
        result = self._registers()["rax"]
        return result - (1 << 64) if result >= 1 << 63 else result

    def attempt(self, name, *arguments):
        """Makes the call and returns "ok" or the name of the error. Closes a descriptor that it returns."""
        result = self.call(name, *arguments)
        if result < 0:
            return errno.errorcode.get(-result, str(-result))
        if name in ("openat", "socket", "io_uring_setup", "perf_event_open", "bpf"):
            self.call("close", result)
        return "ok"

    def _registers(self):
        buffer = ctypes.create_string_buffer(8 * len(FIELDS))
        _ptrace(GETREGS, self.tid, 0, ctypes.addressof(buffer))
        return dict(zip(FIELDS, struct.unpack(f"{len(FIELDS)}Q", buffer.raw)))

    def _set_registers(self, registers):
        words = [registers[field] & (1 << 64) - 1 for field in FIELDS]
        buffer = ctypes.create_string_buffer(struct.pack(f"{len(FIELDS)}Q", *words), 8 * len(FIELDS))
        _ptrace(SETREGS, self.tid, 0, ctypes.addressof(buffer))


def waiting_threads(pid):
    """The threads of a process that wait in epoll, or if there are none in poll: [(tid, name)]."""
    found = {"epoll": [], "poll": []}
    for tid in sorted(map(int, os.listdir(f"/proc/{pid}/task"))):
        with open(f"/proc/{pid}/task/{tid}/syscall", encoding="ascii") as file:
            number = file.read().split()[0]
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read().strip()
        if number in ("232", "281", "441"):
            found["epoll"].append((tid, name))
        elif number in ("7", "271"):
            found["poll"].append((tid, name))
    return found["epoll"] or found["poll"]


def hold(tid):
    """Stops the thread until it is killed or standard input ends."""
    _ptrace(SEIZE, tid)
    _ptrace(INTERRUPT, tid)
    _wait(tid)
    print("held", flush=True)
    while True:
        # A traced thread that dies remains, with its process, until its tracer has waited for it.
        pid, status = os.waitpid(tid, WALL | os.WNOHANG)
        if pid and not os.WIFSTOPPED(status):
            return
        if select.select([sys.stdin], [], [], 0.02)[0] and not sys.stdin.read(1):
            _ptrace(DETACH, tid)
            return


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "hold":
        sys.exit(__doc__)
    hold(int(sys.argv[2]))
