"""Write pathline/embedded/jars.lock: what Kafka needs, resolved now, by coordinate and SHA-256.

Kafka and its logging are resolved apart: asked for together, the log4j artifact's own dependency management puts an
older kafka-clients beside the broker.
"""

import hashlib
import tempfile
import tomllib
from pathlib import Path

import jgo

from pathline.embedded import jars

ENDPOINTS = ("org.apache.kafka:kafka_2.13:4.4.0", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5")
HEADER = "# SHA-256 and Maven coordinate of each jar of the embedded Kafka. Written by scripts/lock_jars.py.\n"


def main() -> None:
    """Resolve, check that it is consistent, write."""
    lines: set[str] = set()
    with tempfile.TemporaryDirectory() as work:
        for endpoint in ENDPOINTS:
            environment = jgo.build(endpoint, cache_dir=Path(work))
            files = {path.name: path for path in map(Path, environment.all_jars)}
            locked = tomllib.loads(Path(environment.lock_path).read_text(encoding="utf-8"))["dependencies"]
            for jar in locked:
                path = files[f"{jar['artifactId']}-{jar['version']}.jar"]
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                lines.add(f"{digest}  {jar['groupId']}:{jar['artifactId']}:{jar['version']}")
    text = HEADER + "\n".join(sorted(lines, key=lambda line: line.split()[1])) + "\n"
    jars.read_lock(text)
    jars.LOCK.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
