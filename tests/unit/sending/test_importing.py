from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from pathline.sending import importing as sending
from pathline.sending import lines
from pathline.sending.client import Collector, UnreachableError
from pathline.sending.importing import BATCH_CALLS, UNDER_WAY, Importer, Outcome, Rejected
from pathline.sending.progress import Position, Progress
from tests.support.records import until


class Far:
    """A collector that keeps what it takes; it refuses calls named bad, and after `dies_after` batches it is away."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.dies_after = dies_after
        self.batches: list[list[dict[str, Any]]] = []
        self.positions: list[Position] = []
        self.rejected: list[Rejected] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.dies_after is not None and len(self.batches) >= self.dies_after:
            return httpx.Response(503)
        body = json.loads(request.content)
        assert body["historical"] is True
        bad = [n for n, call in enumerate(body["batch"]) if call.get("event") == "bad"]
        self.batches.append([call for call in body["batch"] if call.get("event") != "bad"])
        rejected = [{"index": n, "code": "no_subject", "message": "who?"} for n in bad]
        return httpx.Response(200, json={"success": True, **({"rejected": rejected} if rejected else {})})

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [call for batch in self.batches for call in batch]

    async def run(self, path: Path, home: Path, key: str = "digest") -> Outcome:
        transport = httpx.MockTransport(self.answer)
        async with Collector("http://far", patience_seconds=0.1, transport=transport) as collector:
            importer = Importer(
                collector,
                "key",
                Progress(home, "far:8080", key),
                on_reject=self.rejected.append,
                on_position=self.positions.append,
            )
            return await importer.run(str(path))


def write(path: Path, count: int) -> Path:
    path.write_text("".join(json.dumps({"messageId": str(n), "event": "A"}) + "\n" for n in range(count)))
    return path


async def test_every_line_is_sent_or_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text('{"messageId":"a"}\nnonsense\n{"event":"bad"}\n{"messageId":"b"}\n')
    far = Far()
    assert await far.run(file, tmp_path) == Outcome(stored=2, refused=2, skipped=0)
    assert [call["messageId"] for call in far.calls] == ["a", "b"]
    assert [(one.line, one.code) for one in far.rejected] == [(2, "not_json"), (3, "no_subject")]
    assert far.rejected[0].file == str(file)


async def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    file, count = write(tmp_path / "file", 2 * BATCH_CALLS + 7), 2 * BATCH_CALLS + 7
    stopped = Far(dies_after=1)
    with pytest.raises(UnreachableError):
        await stopped.run(file, tmp_path)
    assert len(stopped.calls) == BATCH_CALLS
    far = Far()
    moved = file.rename(tmp_path / "moved")
    assert await far.run(moved, tmp_path) == Outcome(BATCH_CALLS + 7, 0, BATCH_CALLS)
    assert [int(call["messageId"]) for call in stopped.calls + far.calls] == list(range(count))
    assert await Far().run(moved, tmp_path) == Outcome(0, 0, count), "a third run has nothing left"
    assert await Far().run(moved, tmp_path, key="another") == Outcome(count, 0, 0), "another key has its own place"


class Late(Far):
    """A collector that answers when it is told to, batch by batch in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[asyncio.Event] = []

    async def later(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(asyncio.Event())
        await self.asked[-1].wait()
        return self.answer(request)

    async def run(self, path: Path, home: Path, key: str = "digest") -> Outcome:
        async with Collector("http://far", transport=httpx.MockTransport(self.later)) as collector:
            progress = Progress(home, "far:8080", key)
            importer = Importer(
                collector, "key", progress, on_reject=self.rejected.append, on_position=self.positions.append
            )
            return await importer.run(str(path))

    async def waits_for(self, count: int) -> None:
        async def asked() -> bool:
            return len(self.asked) >= count

        await until(asked)
        assert len(self.asked) == count


async def test_several_batches_are_under_way_and_only_a_beginning_that_is_acked_counts(tmp_path: Path) -> None:
    file, late = write(tmp_path / "file", (UNDER_WAY + 1) * BATCH_CALLS), Late()
    importing = asyncio.create_task(late.run(file, tmp_path))
    await late.waits_for(UNDER_WAY)
    for answered in late.asked[1:]:
        answered.set()

    async def all_but_the_first() -> bool:
        return len(late.batches) == UNDER_WAY - 1

    await until(all_but_the_first)
    assert late.positions == [Position()], "what is acked behind one that is not does not count"
    importing.cancel()
    await asyncio.gather(importing, return_exceptions=True)
    far = Far()
    assert await far.run(file, tmp_path) == Outcome((UNDER_WAY + 1) * BATCH_CALLS, 0, 0)
    assert [int(call["messageId"]) for call in far.calls] == list(range((UNDER_WAY + 1) * BATCH_CALLS))


async def test_refused_lines_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    file, late = tmp_path / "file", Late()
    bad = [json.dumps({"messageId": str(n), "event": "bad" if n % BATCH_CALLS == 3 else "A"}) for n in range(1_500)]
    file.write_text("\n".join(bad))
    importing = asyncio.create_task(late.run(file, tmp_path))
    await late.waits_for(3)
    for answered in reversed(late.asked):
        answered.set()
    assert await importing == Outcome(1_497, 3, 0)
    assert [one.line for one in late.rejected] == [4, 504, 1_004]
    assert [at.line for at in late.positions] == [0, 500, 1_000, 1_500]


async def test_standard_input_is_read_when_nothing_waits_for_an_ack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = write(tmp_path / "file", 2 * BATCH_CALLS).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    late = Late()
    importing = asyncio.create_task(late.run(Path("-"), tmp_path))
    for number in range(2):
        await late.waits_for(number + 1)
        late.asked[number].set()
    assert (await importing).stored == 2 * BATCH_CALLS


async def test_how_far_it_is_acked_is_kept_now_and_then_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept: list[Position] = []
    monkeypatch.setattr(Progress, "save", lambda _self, _identity, position: kept.append(position))
    monkeypatch.setattr(sending, "KEEP_SECONDS", 3_600)
    await Far().run(write(tmp_path / "file", 5 * BATCH_CALLS), tmp_path)
    assert [at.line for at in kept] == [BATCH_CALLS, 5 * BATCH_CALLS]
    with pytest.raises(UnreachableError):
        await Far(dies_after=3).run(write(tmp_path / "other", 5 * BATCH_CALLS), tmp_path)
    assert [at.line for at in kept[2:]] == [BATCH_CALLS, 3 * BATCH_CALLS]


async def test_a_file_that_grew_is_another_file(tmp_path: Path) -> None:
    file = write(tmp_path / "file", 3)
    await Far().run(file, tmp_path)
    write(file, 5)
    far = Far()
    assert (await far.run(file, tmp_path)).stored == 5, "ids make the second time harmless"


async def test_a_broken_note_of_the_position_starts_anew(tmp_path: Path) -> None:
    file = write(tmp_path / "file", 3)
    await Far().run(file, tmp_path)
    (note,) = (tmp_path / "imports").iterdir()
    note.write_text("{")
    assert (await Far().run(file, tmp_path)).stored == 3


async def test_batches_are_bounded_by_bytes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("".join(json.dumps({"messageId": str(n), "event": "x" * 50_000}) + "\n" for n in range(20)))
    far = Far()
    await far.run(file, tmp_path)
    assert len(far.batches) == 3 and len(far.calls) == 20
    assert far.positions[-1] == Position(offset=file.stat().st_size, line=20, acked=20, refused=0)


def test_positions_are_kept_whole(tmp_path: Path) -> None:
    identity = lines.identify(str(write(tmp_path / "file", 3)))
    assert identity is not None
    progress = Progress(tmp_path, "[::1]:8080", "digest")
    assert progress.load(identity) == Position()
    progress.save(identity, Position(10, 1, 1, 0))
    assert progress.load(identity) == Position(10, 1, 1, 0)
    assert [path.suffix for path in (tmp_path / "imports").iterdir()] == [".json"]
