"""What stands in the way of a command, said in a sentence with a stable code, without a traceback."""

import logging
from collections.abc import Collection

import asyncpg
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from pathline.domain.stages import StageError
from pathline.embedded.trouble import Code, TroubleError
from pathline.kit.lifecycle import AddressTakenError
from pathline.kit.settings import NoDatabaseError

EXPECTED = (
    TroubleError,
    ValidationError,
    NoDatabaseError,
    AddressTakenError,
    StageError,
    KafkaError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
)
"""What is met in ordinary life; anything else is a fault of ours and shows its traceback."""
SAID_BY_US = "Value error, "
"""With this pydantic begins the words of a check of our own, which are a sentence without it."""


def explain(problem: BaseException) -> TroubleError:
    """One of EXPECTED, in words."""
    if isinstance(problem, TroubleError):
        return problem
    match problem:
        case ValidationError():
            said = Code.BAD_SETTING, "; ".join(_setting(problem))
        case NoDatabaseError() | StageError():
            said = Code.BAD_SETTING, str(problem)
        case AddressTakenError():
            said = Code.PORT_IN_USE, f"{problem}."
        case KafkaError():
            said = Code.NOT_REACHABLE, f"Kafka cannot be used: {problem}. `pathline status` says more."
        case asyncpg.PostgresError() | asyncpg.InterfaceError():
            said = Code.NOT_REACHABLE, f"The database answers: {problem}."
        case _:
            said = Code.NOT_REACHABLE, f"{problem}. `pathline status` says what runs."
    return TroubleError(*said)


def about_file(problem: OSError, read: Collection[str] = ()) -> str:
    """What a file could not be used for, in words; those in `read` were to be read, all others to be written."""
    if problem.filename is None:
        return problem.strerror or str(problem)
    verb = "read" if str(problem.filename) in read else "write"
    return f"cannot {verb} {problem.filename}: {problem.strerror}"


def quiet_libraries() -> None:
    """Keep a client's own complaints out of a command's answer, which says the same in one line."""
    for name in ("aiokafka", "asyncpg"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def quiet_loop() -> None:
    """The same of what a driver leaves behind in the event loop when its server dies: whoever waited is told anyway."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def _setting(problem: ValidationError) -> list[str]:
    # `input` is left out: a setting may be a password.
    return [
        f"{'.'.join(f'PATHLINE_{part}'.upper() for part in error['loc'])}: {error['msg'].removeprefix(SAID_BY_US)}"
        for error in problem.errors(include_input=False, include_url=False)
    ]
