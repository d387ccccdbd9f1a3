"""What `up` leaves for `status`: whole or not there."""

from pathlib import Path

from pathline.supervisor import state

PART = state.PartState("kafka", "127.0.0.1:1", 42, "ready", None, "/log")


def test_a_snapshot_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    snapshot = state.Snapshot(supervisor=7, ready=True, parts=(PART,), kafka="127.0.0.1:1", demo=True)
    state.write(tmp_path, snapshot)
    assert state.read(tmp_path) == snapshot
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["state.json"]


def test_none_and_a_broken_one_are_none(tmp_path: Path) -> None:
    assert state.read(tmp_path) is None
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.json").write_text('{"supervisor":', encoding="utf-8")
    assert state.read(tmp_path) is None
