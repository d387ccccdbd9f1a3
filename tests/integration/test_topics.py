"""The topics on a real Kafka: made once, left alone after, and told apart from what they should be."""

from pathline.kit import kafka, topics
from tests.conftest import Stack
from tests.support.records import until


async def test_missing_topics_are_made_once(stack: Stack, topic_prefix: str) -> None:
    assert len(await topics.check_topics(stack.bootstrap, prefix=topic_prefix, partitions=3, replicas=1)) == 4
    made = await topics.ensure_topics(stack.bootstrap, prefix=topic_prefix, partitions=3, replicas=1)
    assert sorted(made) == sorted(kafka.topics(topic_prefix))
    assert await topics.ensure_topics(stack.bootstrap, prefix=topic_prefix, partitions=3, replicas=1) == []
    await until(lambda: _said(stack, topic_prefix, 3, []))


async def test_too_few_partitions_are_told(stack: Stack, topic_prefix: str) -> None:
    await topics.ensure_topics(stack.bootstrap, prefix=topic_prefix, partitions=1, replicas=1)
    few = [f"{name} has 1 partitions, 2 are wanted" for name in kafka.topics(topic_prefix)]
    await until(lambda: _said(stack, topic_prefix, 2, few))


async def test_the_cluster_has_an_id(stack: Stack) -> None:
    assert len(await kafka.cluster_id(stack.bootstrap)) == 22


async def _said(stack: Stack, prefix: str, partitions: int, wanted: list[str]) -> bool:
    """Whether just this is said; a broker knows of a new topic a little later than it was made."""
    said = await topics.check_topics(stack.bootstrap, prefix=prefix, partitions=partitions, replicas=1)
    return sorted(said) == sorted(wanted)
