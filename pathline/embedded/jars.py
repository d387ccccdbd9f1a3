"""The jars of the embedded Kafka: exactly those of `jars.lock`, fetched once into the user's cache.

The lock names each file by Maven coordinate and SHA-256, no address. A second start, also on another home, needs no
network. `scripts/lock_jars.py` writes the lock.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pathline.embedded.trouble import Code, TroubleError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK = Path(__file__).with_name("jars.lock")
PARALLEL_DOWNLOADS = 6
DOWNLOAD_TIMEOUT_SECONDS = 15
"""How long a server may say nothing. A stop during a download waits no longer than this."""
TRIES = 3
LOOK_SECONDS = 0.5
"""How often `Progress` is called at least: it is also where a download is stopped."""
WORK_PREFIX = "download-"

Progress = Callable[[int, int, int], None]
"""Called with files done, files in all, bytes done; what it raises ends the download."""


class Jar(NamedTuple):
    """One line of the lock."""

    sha256: str
    group: str
    artifact: str
    version: str

    @property
    def file_name(self) -> str:
        """The name of its file; artifacts of one name but different groups are refused by `read_lock`."""
        return f"{self.artifact}-{self.version}.jar"


def read_lock(text: str) -> list[Jar]:
    """The jars of a lock's text. Raises ValueError when it contradicts itself."""
    jars = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            sha256, coordinate = line.split()
            jars.append(Jar(sha256, *coordinate.split(":")))
    if len({jar.file_name for jar in jars}) != len(jars):
        reason = "two jars of the lock have one file name"
        raise ValueError(reason)
    kafka_version(jars)
    return jars


def kafka_version(jars: Sequence[Jar]) -> str:
    """The version of Kafka. Raises ValueError unless all of its jars have the same: mixed ones die at run time."""
    versions = {jar.version for jar in jars if jar.group == "org.apache.kafka"}
    if len(versions) != 1:
        reason = f"the jars of Kafka are of the versions {sorted(versions)}"
        raise ValueError(reason)
    return versions.pop()


def fetch(cache: Path, progress: Progress) -> list[Path]:
    """The paths of all jars, checked; those missing or damaged are downloaded. Raises TroubleError."""
    text = LOCK.read_text(encoding="utf-8")
    jars = read_lock(text)
    folder = cache / "jars"
    folder.mkdir(parents=True, exist_ok=True)
    if _missing(jars, folder):
        with _alone(folder, lambda: progress(0, len(jars), 0)):
            # Another start may have fetched them while this one waited.
            missing = _missing(jars, folder)
            if missing:
                _download(missing, folder, progress)
    return [folder / jar.file_name for jar in jars]


def _missing(jars: Sequence[Jar], folder: Path) -> list[Jar]:
    return [jar for jar in jars if not _is_good(folder / jar.file_name, jar)]


@contextmanager
def _alone(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """One download into `folder` at a time; what a killed one left half done is removed."""
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                time.sleep(LOOK_SECONDS)
            else:
                break
        for left in (*folder.glob(f"{WORK_PREFIX}*"), *folder.glob("*.part")):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        yield


def _is_good(path: Path, jar: Jar) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _download(missing: Sequence[Jar], folder: Path, progress: Progress) -> None:
    import jgo.maven  # here, because only a first start needs it

    done = bytes_done = 0
    progress(0, len(missing), 0)
    ending = threading.Event()
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=WORK_PREFIX) as work,
        ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool,
    ):
        context = jgo.maven.MavenContext(repo_cache=Path(work), timeout=DOWNLOAD_TIMEOUT_SECONDS)
        jars = {pool.submit(_download_one, context, jar, ending): jar for jar in missing}
        running: set[Future[Path]] = set(jars)
        try:
            while running:
                finished, running = wait(running, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                for download in finished:
                    fetched, jar = download.result(), jars[download]
                    _check(fetched, jar)
                    done += 1
                    bytes_done += fetched.stat().st_size
                    _move(fetched, folder / jar.file_name)
                progress(done, len(missing), bytes_done)
        except BaseException:
            ending.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _download_one(context: "MavenContext", jar: Jar, ending: threading.Event) -> Path:
    import requests

    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    problem: Exception | None = None
    for _ in range(TRIES):
        if ending.is_set():
            break
        try:
            path: Path = artifact.resolve()
        except (RuntimeError, requests.RequestException) as failed:
            problem = failed
        else:
            return path
    raise TroubleError(
        Code.NO_NETWORK,
        f"Cannot download {jar.file_name}, a part of Apache Kafka, from Maven's repository ({problem}). "
        "The first start needs the network once; or set PATHLINE_KAFKA to a Kafka that runs already.",
    ) from problem


def _check(fetched: Path, jar: Jar) -> None:
    if not _is_good(fetched, jar):
        raise TroubleError(
            Code.BAD_DOWNLOAD,
            f"{jar.file_name} as downloaded is not the file of the lock (SHA-256 differs). "
            "A proxy may have changed it; nothing was run.",
        )


def _move(source: Path, target: Path) -> None:
    """Into place in one step, so that a start at the same time never sees half a file."""
    step = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.move(source, step)
    step.replace(target)
