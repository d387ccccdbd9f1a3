"""What is printed when all is ready."""

from pathlib import Path

from pathline.kit import signin
from pathline.supervisor.greeting import greeting

ADDRESSES = {"ingest": "127.0.0.1:8080", "console": "127.0.0.1:8081", "demo": "127.0.0.1:8084"}


def test_it_tells_where_how_and_with_what() -> None:
    text = "\n".join(greeting(ADDRESSES, "s3cret", Path("/my home"), demo=True, now_seconds=0))
    for part in ("http://127.0.0.1:8080", "http://127.0.0.1:8081/sign-in?ticket=", "demo-web", "/my home/logs"):
        assert part in text
    ticket = text.split("ticket=")[1].split()[0]
    assert signin.is_good("s3cret", ticket, now_seconds=60)
    assert "8084" in text
    assert "s3cret" not in text


def test_no_shop_without_the_demo() -> None:
    assert "8084" not in "\n".join(greeting(ADDRESSES, "token", Path("/h"), demo=False, now_seconds=0))
