"""Which topic of which Kafka it is: the ids that neither a name nor a length gives away when it is made anew.

A topic has an id of its own since Kafka 2.8, told by metadata of version 10 and later. aiokafka 0.14 asks for version 5
at most, so that the question is put together here, of its own parts. A broker that does not know it (some that are
not Apache Kafka) tells no topic id; then a topic that was made anew is recognised by its length alone.
"""

from __future__ import annotations

from io import BytesIO
from typing import ClassVar, NamedTuple
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from pathline.kit import kafka

NO_ID = UUID(int=0)
"""What a broker says that has none."""


class Origin(NamedTuple):
    """Where the records of a topic come from."""

    cluster_id: str
    topic_id: UUID | None
    """None where the broker does not tell it."""


class _Uuid(AbstractType[UUID]):  # type: ignore[misc] # classes without types, here and below
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


_STRING = CompactString("utf-8")
_NODES = CompactArray(Int32)


class _Metadata(Response):  # type: ignore[misc]
    API_KEY: ClassVar[int] = 3
    API_VERSION: ClassVar[int] = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32), ("host", _STRING), ("port", Int32), ("rack", _STRING), ("tags", TaggedFields)
            ),
        ),
        ("cluster_id", _STRING),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _STRING),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", _NODES),
                        ("isr", _NODES),
                        ("offline", _NODES),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequestV12(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Metadata
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _STRING), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestV12]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_MetadataRequestV12]) -> _MetadataRequestV12:
        return request_struct_class([(NO_ID, self._topic, {})], False, False, {})  # noqa: FBT003 - the wire's order


async def origin(bootstrap: str, topic: str, *, request_timeout_ms: int = kafka.REQUEST_TIMEOUT_MS) -> Origin:
    """The ids of the cluster and of the topic.

    Raises:
        KafkaError: nobody answers, or the topic does not exist.
    """
    client = AIOKafkaClient(
        bootstrap_servers=bootstrap.split(","), client_id="pathline-origin", request_timeout_ms=request_timeout_ms
    )
    await client.bootstrap()
    try:
        told = await client.send(client.get_random_node(), _MetadataRequest(topic))
    except NotImplementedError:  # what aiokafka says where the broker knows no version of ours
        return Origin(await kafka.cluster_id(bootstrap, request_timeout_ms=request_timeout_ms), None)
    finally:
        await client.close()
    ((code, _, topic_id, *_),) = told.topics
    if code:
        raise for_code(code)(topic)
    return Origin(told.cluster_id, None if topic_id == NO_ID else topic_id)
