"""Structured logs: one JSON object a line on standard error. Never a body, a key or a person's data."""

import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import structlog
from structlog.typing import FilteringBoundLogger, Processor

_NOISY = ("aiokafka", "asyncio", "httpx", "httpcore", "uvicorn.access")
"""Libraries whose own progress is no news: only their warnings are kept."""
_REPEATING = ("aiokafka", "asyncpg.pool")
"""Libraries that say the same at every try, many times a second, while their server is away."""
REPEAT_SECONDS = 10.0
"""For so long a library's record keeps others of the same logger and template back."""
REPEATS_MOST = 128
"""Templates remembered; the one let through longest ago is forgotten first."""


class Repeats(logging.Filter):
    """Lets one record of a repeating library's logger and template through in REPEAT_SECONDS.

    The next one let through has the number of those left out as its `suppressed`.
    """

    def __init__(self, libraries: Sequence[str] = _REPEATING, now: Callable[[], float] = time.monotonic) -> None:
        """Watch the loggers of `libraries`; `now` is in seconds."""
        super().__init__()
        self._libraries = libraries
        self._prefixes = tuple(f"{name}." for name in libraries)
        self._now = now
        # Handlers filter before they lock, and libraries may log from threads.
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        """How many templates are remembered."""
        return len(self._seen)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is said; sets `suppressed` on one that is said after others were not."""
        if record.name not in self._libraries and not record.name.startswith(self._prefixes):
            return True
        kind, now = (record.name, str(record.msg)), self._now()
        with self._lock:
            said, suppressed = self._seen.get(kind, (None, 0))
            if said is not None and now - said < REPEAT_SECONDS:
                self._seen[kind] = (said, suppressed + 1)
                return False
            self._seen[kind] = (now, 0)
            self._seen.move_to_end(kind)
            if len(self._seen) > REPEATS_MOST:
                self._seen.popitem(last=False)
        if suppressed:
            record.suppressed = suppressed
        return True


def configure(service: str, level: str) -> None:
    """Send structlog's and the standard library's records to standard error as JSON, each with `service`.

    `level` is debug, info, warning or error.
    """
    shared: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Repeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow=["suppressed"])],
            processors=[
                _say_service(service),
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger: `log.info("event_in_words", key=value)`."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def _say_service(service: str) -> Processor:
    def add(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    return add
