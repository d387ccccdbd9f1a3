"""The topics on a real Kafka: made once, left alone after, and told apart from what they should be."""

from pathline.kit import kafka, topics
from tests.conftest import Stack


async def test_missing_topics_are_made_once(stack: Stack, topic_prefix: str) -> None:
    assert len(await topics.check_topics(stack.bootstrap, prefix=topic_prefix, partitions=3, replicas=1)) == 4
    made = await topics.ensure_topics(stack.bootstrap, prefix=topic_prefix, partitions=3, replicas=1)
    assert sorted(made) == sorted(kafka.topics(topic_prefix))
    assert await topics.ensure_topics(stack.bootstrap, prefix=topic_prefix, partitions=3, replicas=1) == []
    assert await topics.check_topics(stack.bootstrap, prefix=topic_prefix, partitions=3, replicas=1) == []


async def test_too_few_partitions_are_told(stack: Stack, topic_prefix: str) -> None:
    await topics.ensure_topics(stack.bootstrap, prefix=topic_prefix, partitions=1, replicas=1)
    said = await topics.check_topics(stack.bootstrap, prefix=topic_prefix, partitions=2, replicas=1)
    assert f"{kafka.topics(topic_prefix).touchpoints} has 1 partitions, 2 are wanted" in said


async def test_the_cluster_has_an_id(stack: Stack) -> None:
    assert len(await kafka.cluster_id(stack.bootstrap)) == 22
