"""What `up` prints when all is ready: where to look, how to send, how to sign in."""

from collections.abc import Mapping
from pathlib import Path

from pathline.kit import signin
from pathline.supervisor.credential import CREDENTIAL_FILE


def greeting(addresses: Mapping[str, str], api_token: str, home: Path, *, demo: bool, now_seconds: float) -> list[str]:
    """The lines; `addresses` by part, `now_seconds` is Unix time."""
    collector, console = addresses["ingest"], addresses["console"]
    example = (
        f"curl -u demo: http://{collector}/v1/track -H 'content-type: application/json' "
        """-d '{"userId":"42","event":"Order Completed","properties":{"order_id":"1001"}}'"""
    )
    lines = [
        "",
        f"  collector   http://{collector}   write keys: demo (server), demo-web (browser); this machine only",
        f"  console     http://{console}   API token in {home / CREDENTIAL_FILE}",
        f"  sign in     {signin.link(console, api_token, now_seconds=now_seconds)}",
    ]
    if demo:
        lines.append(f"  demo shop   http://{addresses['demo']}")
    return [*lines, f"  logs        {home / 'logs'}", f"  try         {example}", ""]
