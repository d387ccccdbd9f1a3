"""The list of metrics, the alert rules and the runbooks are held to what the services register."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry

from pathline.contracts import detector_files
from pathline.demo.metrics import DemoMetrics
from services.console.metrics import ConsoleMetrics
from services.ingest.metrics import IngestMetrics
from services.scorer.metrics import ScorerMetrics
from services.stitcher.metrics import StitcherMetrics

ROOT = Path(__file__).parent.parent.parent.parent
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]


def catalogue() -> dict[str, list[tuple[str, str, str, str]]]:
    """(name, type, labels, meaning) of every metric, by service."""
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    for service in ("collector", "stitcher", "scorer", "console", "demo"):
        registry = CollectorRegistry()
        match service:
            case "collector":
                IngestMetrics(registry, "t")
            case "stitcher":
                StitcherMetrics(registry, "t", "d")
            case "scorer":
                ScorerMetrics(registry, "t", detector_files.load().files)
            case "console":
                ConsoleMetrics(registry, ("t",))
            case _:
                DemoMetrics(registry)
        rows = []
        known: dict[int, Any] = {id(one): one for one in registry._names_to_collectors.values()}
        for collector in known.values():
            (family,) = collector.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = ", ".join(getattr(collector, "_labelnames", ()))
            rows.append((name, family.type, labels, family.documentation))
        found[service] = sorted(rows)
    return found


def page() -> str:
    """The tables of docs/metrics.md."""
    parts = []
    for service, rows in catalogue().items():
        table = [f"| `{name}` | {kind} | {labels} | {words} |" for name, kind, labels, words in rows]
        parts.append(
            "\n".join([f"## {service}", "", "| metric | type | labels | meaning |", "|---|---|---|---|", *table])
        )
    return "\n\n".join(parts) + "\n"


def test_docs_metrics_lists_what_the_services_register() -> None:
    told = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert told[told.index("## collector") :] == page()


def test_a_counter_ends_in_total_and_a_span_in_seconds() -> None:
    for rows in catalogue().values():
        for name, _kind, _labels, words in rows:
            assert name.startswith("pathline_")
            assert not words.startswith("Seconds") or "_seconds" in name, name


def test_every_rule_asks_for_metrics_that_there_are() -> None:
    known = {row[0] for rows in catalogue().values() for row in rows}
    known |= {f"{name}{part}" for name in known for part in ("_bucket", "_sum", "_count")}
    for rule in RULES:
        asked = set(re.findall(r"\bpathline_[a-z_]+", rule["expr"]))
        assert asked, rule
        assert asked <= known, rule["alert"]


def test_every_rule_has_a_runbook() -> None:
    runbooks = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", runbooks, re.MULTILINE) == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{rule['alert'].lower()}"


if __name__ == "__main__":  # python -m tests.unit.deploy.test_metrics: write the tables anew
    metrics = ROOT / "docs/metrics.md"
    head, _, _ = metrics.read_text(encoding="utf-8").partition("## collector")
    metrics.write_text(head + page(), encoding="utf-8")
