"""Becomes another program, bound to the life of the process that started it.

Run as a script, alone: `python -I -S launch.py PARENT SIGNAL USER KEEP_ACCESS -- PROGRAM ARGUMENT...`.
Between fork and exec it asks Linux for SIGNAL when PARENT dies, so that a killed `pathline up` leaves nothing behind,
and, when it is root, becomes USER (`uid:gid`, or `-`), because PostgreSQL refuses to run as root. KEEP_ACCESS `1`
lets that user still pass directories that only root may enter, which a home under /root needs, and opens nothing to
others.
"""

import ctypes
import os
import sys
from typing import ClassVar

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
LINUX_CAPABILITY_VERSION_3 = 0x20080522


class _CapabilityHeader(ctypes.Structure):
    _fields_: ClassVar = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def main() -> None:
    """Read the arguments, change what must change, become the program."""
    parent, name, user, keep_access, _separator, *argv = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None
    if user != "-":
        _become(user, libc if keep_access == "1" else None)
    if libc is not None:
        # After the change of user: the kernel forgets the wish when credentials change.
        libc.prctl(PR_SET_PDEATHSIG, int(name), 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit(0)
    os.execv(argv[0], argv)


def _become(user: str, libc: ctypes.CDLL | None) -> None:
    uid, gid = map(int, user.split(":"))
    if libc is not None:
        # So that becoming somebody else takes no capability away, now and in access(2), by which PostgreSQL looks for
        # its own programs: these lie under /root, too, where the checkout does.
        libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if libc is not None:
        header = _CapabilityHeader(LINUX_CAPABILITY_VERSION_3, 0)
        mask = 1 << CAP_DAC_OVERRIDE
        # effective, permitted, inheritable of the low 32 capabilities, then of the high 32
        data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
        libc.capset(ctypes.byref(header), ctypes.byref(data))
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    main()
