"""What is said when topics are not as they should be."""

from pathline.kit.topics import KEPT_DAYS, differences, wanted


def test_every_topic_has_its_size_and_a_time_it_is_kept() -> None:
    specs = {spec.name: spec for spec in wanted("p", partitions=6, replicas=3)}
    assert set(specs) == {f"p.{name}.v1" for name in ("touchpoints", "journeys", "alerts", "dead-letters")}
    assert all(spec.partitions == 6 and spec.replicas == 3 for spec in specs.values())
    assert all(spec.config["min.insync.replicas"] == "2" for spec in specs.values())
    assert KEPT_DAYS < 30
    assert int(specs["p.journeys.v1"].config["retention.ms"]) < int(specs["p.touchpoints.v1"].config["retention.ms"])


def test_as_they_should_be() -> None:
    specs = wanted("p", partitions=2, replicas=1)
    found = {spec.name: 3 for spec in specs}
    assert differences(specs, found, {spec.name: dict(spec.config) for spec in specs}) == []


def test_each_difference_is_a_sentence() -> None:
    specs = wanted("p", partitions=2, replicas=1)
    first, second, *rest = specs
    found = {first.name: 1, **{spec.name: 2 for spec in rest}}
    configs = {spec.name: dict(spec.config) for spec in specs}
    configs[rest[0].name]["unclean.leader.election.enable"] = "true"
    assert differences(specs, found, configs) == [
        f"{first.name} has 1 partitions, 2 are wanted",
        f"{second.name} does not exist",
        f"{rest[0].name} has unclean.leader.election.enable=true, false is wanted",
    ]
