"""What can stand in the way of a start, each with a stable code and an exit status of its own."""

import errno
from enum import IntEnum


class Code(IntEnum):
    """The stable codes; the number is the exit status of the command."""

    BAD_SETTING = 2
    HOME_IN_USE = 10
    PORT_IN_USE = 11
    NO_SPACE = 12
    HOME_NOT_WRITABLE = 13
    OTHER_VERSION = 14
    NO_NETWORK = 15
    BAD_DOWNLOAD = 16
    PART_FAILED = 17
    NOT_ALLOWED = 18
    NOT_REACHABLE = 19
    OTHER_CLUSTER = 20
    INTERRUPTED = 130
    """Ended by Ctrl-C before there was anything to drain, or by a second one."""

    @property
    def word(self) -> str:
        """The code as it is printed: `port_in_use`."""
        return self.name.lower()


class TroubleError(Exception):
    """Something a person must put right: one sentence on what is wrong, one on what to do."""

    def __init__(self, code: Code, message: str) -> None:
        """Carry `code` and the sentences to print."""
        super().__init__(message)
        self.code = code


def from_os_error(problem: OSError, what: str) -> TroubleError:
    """An OSError met while doing `what` ("write the log"), as a TroubleError."""
    if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
        return TroubleError(Code.NO_SPACE, f"The disk is full: cannot {what}. Free some space and start again.")
    if problem.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG}:
        return TroubleError(
            Code.HOME_NOT_WRITABLE,
            f"Cannot {what} ({problem.strerror}: {problem.filename}). "
            "Give this user the directory, or set PATHLINE_HOME to one of its own.",
        )
    return TroubleError(Code.PART_FAILED, f"Cannot {what}: {problem}.")
