"""The topics themselves: how each is made, and what differs from that in a cluster."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from pathline.kit import kafka

ADMIN_TIMEOUT_MS = 20_000
DAY_MS = 86_400_000
KEPT_DAYS = 28
"""How long touchpoints can be replayed. Under 30, so that an erased person is gone from the log in a month."""
HINTS_KEPT_DAYS = 3
"""Hints say what to look at, and are of no use once it was looked at."""


class TopicSpec(NamedTuple):
    """How a topic should be."""

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]


def wanted(prefix: str, *, partitions: int, replicas: int) -> list[TopicSpec]:
    """Every topic of Pathline under `prefix`."""
    names = kafka.topics(prefix)
    common = {
        "cleanup.policy": "delete",
        "min.insync.replicas": str(max(1, replicas - 1)),
        "unclean.leader.election.enable": "false",
    }
    days = dict.fromkeys(names, KEPT_DAYS) | {names.journeys: HINTS_KEPT_DAYS}
    return [
        TopicSpec(name, partitions, replicas, {**common, "retention.ms": str(kept * DAY_MS)})
        for name, kept in days.items()
    ]


def differences(
    specs: list[TopicSpec], found: Mapping[str, int], configs: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """What is missing or differs, a sentence each. `found`: partitions by topic; `configs`: settings by topic.

    More partitions than wanted are fine: a topic cannot lose any.
    """
    said = []
    for spec in specs:
        if spec.name not in found:
            said.append(f"{spec.name} does not exist")
            continue
        if found[spec.name] < spec.partitions:
            said.append(f"{spec.name} has {found[spec.name]} partitions, {spec.partitions} are wanted")
        have = configs.get(spec.name, {})
        said += [
            f"{spec.name} has {name}={have.get(name)}, {value} is wanted"
            for name, value in spec.config.items()
            if have.get(name) != value
        ]
    return said


async def ensure_topics(bootstrap: str, *, prefix: str, partitions: int, replicas: int) -> list[str]:
    """Make the topics that do not exist; returns their names. Those that exist are left as they are."""
    specs = wanted(prefix, partitions=partitions, replicas=replicas)
    admin = _admin(bootstrap)
    await admin.start()
    try:
        there = set(await admin.list_topics())
        missing = [spec for spec in specs if spec.name not in there]
        if missing:
            await _create(admin, missing)
    finally:
        await admin.close()
    return [spec.name for spec in missing]


async def check_topics(bootstrap: str, *, prefix: str, partitions: int, replicas: int) -> list[str]:
    """What is missing or differs, a sentence each; empty when all is well."""
    specs = wanted(prefix, partitions=partitions, replicas=replicas)
    admin = _admin(bootstrap)
    await admin.start()
    try:
        there = set(await admin.list_topics())
        names = [spec.name for spec in specs if spec.name in there]
        described = await admin.describe_topics(names) if names else []
        found = {topic["topic"]: len(topic["partitions"]) for topic in described}
        configs = {name: await _config(admin, name) for name in names}
    finally:
        await admin.close()
    return differences(specs, found, configs)


async def partitions_of(bootstrap: str, names: Iterable[str]) -> dict[str, list[int]]:
    """The partitions of each of these topics; a topic that does not exist is not in the answer."""
    admin = _admin(bootstrap)
    await admin.start()
    try:
        there = set(await admin.list_topics()) & set(names)
        described = await admin.describe_topics(sorted(there)) if there else []
        return {topic["topic"]: sorted(part["partition"] for part in topic["partitions"]) for topic in described}
    finally:
        await admin.close()


def _admin(bootstrap: str) -> AIOKafkaAdminClient:
    return AIOKafkaAdminClient(bootstrap_servers=bootstrap.split(","), request_timeout_ms=ADMIN_TIMEOUT_MS)


async def _create(admin: AIOKafkaAdminClient, specs: list[TopicSpec]) -> None:
    made = await admin.create_topics(
        [NewTopic(spec.name, spec.partitions, spec.replicas, topic_configs=dict(spec.config)) for spec in specs],
        timeout_ms=ADMIN_TIMEOUT_MS,
    )
    for name, code, *message in made.topic_errors:
        if code not in {0, TopicAlreadyExistsError.errno}:
            said = f"{name}: {message[0] if message else ''}"
            raise for_code(code)(said)


async def _config(admin: AIOKafkaAdminClient, name: str) -> dict[str, str]:
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    return {entry[0]: entry[1] for response in responses for resource in response.resources for entry in resource[4]}
