"""A stage file: all that is wrong with it at once, by line, column and code; what is right is what the stages do."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pathline.config import STAGE_EXAMPLES
from pathline.contracts import stage_files
from pathline.contracts.stage_files import CODES, MAX_PROBLEMS
from pathline.contracts.yaml_files import MAX_BYTES
from pathline.domain.stages import MAX_ACTIONS, MAX_STAGES, StageError, StageFile, Stages, identity_of
from tests.support.world import touchpoint

PAGE = Path(__file__).parents[3] / "docs" / "stages.md"
GOOD = """\
stages:
  - name: buy
    enter:
      - event: [Order Completed]
    actions:
      - name: paid
        done:
          - event: [Payment Succeeded]
"""


def stage(enter: str, name: str = "a") -> str:
    return f"stages:\n  - name: {name}\n    enter:\n      - {enter}\n"


def many(count: int, text: str) -> str:
    return "".join(text.format(n) for n in range(count))


WRONG: list[tuple[str | bytes, list[tuple[str, int, int]]]] = [
    ("", [("no_stages", 0, 0)]),
    ("# nothing\n", [("no_stages", 0, 0)]),
    ("stages: []\n", [("no_stages", 1, 9)]),
    ("3\n", [("wrong_type", 1, 1)]),
    ("stages: 3\n", [("wrong_type", 1, 9)]),
    ("moments_of_truth: []\n", [("missing_field", 1, 1)]),
    (b"stages: \xff\n", [("not_utf8", 1, 9)]),
    ("stages: [\n", [("not_yaml", 2, 1)]),
    ("stages: \x00\n", [("not_yaml", 1, 9)]),
    ("stages:\n  - nam\x07e: a\n", [("not_yaml", 2, 8)]),
    ("a: *b\n", [("not_yaml", 1, 4)]),
    ("[" * 30_000, [("not_yaml", 0, 0)]),
    ("#" * (MAX_BYTES + 1), [("file_too_large", 0, 0)]),
    (stage("events: [Foo]"), [("unknown_field", 4, 9)]),
    (stage("{event: [Foo], event: [Bar]}"), [("duplicate_field", 4, 24)]),
    (stage("{where: {a: [x], a: [y]}}"), [("duplicate_field", 4, 26)]),
    (stage("event: Foo"), [("wrong_type", 4, 16)]),
    (stage("event: ['', Foo, ' ']"), [("empty_list", 4, 17), ("empty_list", 4, 26)]),
    (stage("event: [404]"), [("wrong_type", 4, 17)]),
    (stage("event: [[Foo]]"), [("wrong_type", 4, 17)]),
    (stage("where: [a]"), [("wrong_type", 4, 16)]),
    (stage("where: {}"), [("empty_list", 4, 16)]),
    (stage("where: {a: [null]}"), [("wrong_type", 4, 21)]),
    (stage("where: {a: []}"), [("empty_list", 4, 20)]),
    (stage("where: {a: [!!bool maybe]}"), [("wrong_type", 4, 21)]),
    (stage("where: {a: [!!int x]}"), [("wrong_type", 4, 21)]),
    (stage("where: {a: [!own:int 3]}"), [("wrong_type", 4, 21)]),
    (stage(f"where: {{a: [{'9' * 5000}]}}"), [("wrong_type", 4, 21)]),
    (stage(f"where: {{a: [0x{'f' * 5000}]}}"), [("wrong_type", 4, 21)]),
    (stage("where: {a: [2026-01-01]}"), [("wrong_type", 4, 21)]),
    (stage("type: [trak]"), [("unknown_type", 4, 16)]),
    (stage("channel: [web, mobile]"), [("unknown_channel", 4, 24)]),
    (stage("{event: [Foo], type: [page]}"), [("never_holds", 4, 30)]),
    (stage("{}"), [("empty_condition", 4, 9)]),
    (stage("event: [Foo]", name="''"), [("bad_name", 2, 11)]),
    (stage("event: [Foo]", name='"a\\nb"'), [("bad_name", 2, 11)]),
    (stage("event: [Foo]", name="x" * 41), [("bad_name", 2, 11)]),
    ("stages:\n  - name: a\n    enter: []\n", [("no_condition", 3, 12)]),
    ("stages:\n  - name: a\n", [("missing_field", 2, 5)]),
    (stage("event: [Foo]") + "  - name: a\n    enter: [{event: [Bar]}]\n", [("duplicate_stage", 5, 11)]),
    (GOOD + "      - {name: paid, done: [{event: [Invoice Paid]}]}\n", [("duplicate_action", 9, 16)]),
    (GOOD + "      - {name: sold, done: []}\n", [("no_condition", 9, 28)]),
    (
        "stages:\n" + many(MAX_STAGES + 1, "  - {{name: s{0}, enter: [{{event: [E{0}]}}]}}\n"),
        [("too_many_stages", MAX_STAGES + 2, 5)],
    ),
    (
        stage("event: [Foo]")
        + "    actions:\n"
        + many(MAX_ACTIONS + 1, "      - {{name: s{0}, done: [{{event: [E{0}]}}]}}\n"),
        [("too_many_actions", MAX_ACTIONS + 6, 9)],
    ),
    (
        stage("&c {event: &e [" + "Foo, " * 400 + "]}") + "      - *c\n" * 90,
        [("file_too_large", 1, 1)],
    ),
    (
        "stages:\n  - name: a\n    enter:\n      - event: Foo\n      - {}\n  - nam: b\n    enter: []\nmoments: 3\n",
        [
            ("wrong_type", 4, 16), ("empty_condition", 5, 9), ("missing_field", 6, 5), ("unknown_field", 6, 5),
            ("no_condition", 7, 12), ("unknown_field", 8, 1),
        ],
    ),
]  # fmt: skip

WARNED: list[tuple[str, list[tuple[str, int, int]]]] = [
    (stage("event: [Order Complete]"), [("perhaps_misspelt", 4, 17)]),
    (
        stage("where: {a: [01234, 12:30, 1_000, yes, 1.50, 7, 2.5, true, False]}"),
        [("read_otherwise", 4, column) for column in (21, 28, 35, 42, 47)],
    ),
    (
        stage("event: [Foo]") + "  - name: b\n    enter: [{event: [Bar, Foo], channel: [web]}]\n",
        [("never_reached", 6, 27)],
    ),
]


def bytes_of(written: str | bytes) -> bytes:
    return written.encode() if isinstance(written, str) else written


@pytest.mark.parametrize(("written", "told"), WRONG)
def test_all_that_is_wrong_is_told_at_once_with_its_place(
    written: str | bytes, told: list[tuple[str, int, int]]
) -> None:
    checked = stage_files.check_bytes(bytes_of(written))
    assert checked.file is None
    assert [(one.code, one.line, one.column) for one in checked.problems] == told
    assert checked.errors == checked.problems


@pytest.mark.parametrize(("written", "told"), WARNED)
def test_a_warning_does_not_stand_in_the_way(written: str, told: list[tuple[str, int, int]]) -> None:
    checked = stage_files.check_bytes(written.encode())
    assert checked.file is not None and checked.errors == ()
    assert [(one.code, one.line, one.column) for one in checked.problems] == told


@pytest.mark.parametrize(
    "enter",
    [
        ["{event: [Foo], where: {a: [x]}}", "{event: [Foo]}"],
        ["{event: [Foo], channel: [web]}", "{event: [Foo]}"],
        ["{type: [page]}", "{type: [page], channel: [app]}"],
        ["{event: [My Own Event]}", "{event: [Order Completed]}"],
    ],
)
def test_what_can_be_meant_is_not_warned_of(enter: list[str]) -> None:
    first, second = enter
    assert stage_files.check_bytes((stage(first) + f"  - name: b\n    enter: [{second}]\n").encode()).problems == ()


def test_a_flood_of_problems_is_cut_and_hides_no_error() -> None:
    flood = stage(f"event: [{'Order Complete, ' * 300}]") + "  - {}\n"
    checked = stage_files.check_bytes(flood.encode())
    assert len(checked.problems) == MAX_PROBLEMS and checked.file is None
    assert [one.code for one in checked.errors] == ["missing_field", "missing_field"]


def test_every_code_is_met_and_described() -> None:
    met = {code for _, told in (*WRONG, *WARNED) for code, _, _ in told} | {"no_file"}
    assert met == CODES.keys()
    text = PAGE.read_text(encoding="utf-8")
    assert [code for code in CODES if f"| `{code}` | {CODES[code]} |" not in text] == []


@pytest.mark.parametrize("path", STAGE_EXAMPLES.values(), ids=STAGE_EXAMPLES.keys())
def test_an_example_is_without_fault_and_is_read_as_any_yaml_parser_reads_it(path: Path) -> None:
    checked = stage_files.check(path)
    assert checked.problems == ()
    assert checked.file == msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), StageFile)
    assert stage_files.load(path).identity == identity_of(checked.file)


def test_the_five_stages_follow_a_purchase_to_its_use() -> None:
    five = stage_files.load(STAGE_EXAMPLES["five"])
    assert five.names == ("anticipation", "purchase", "delivery", "use", "after-sales")
    placed = [
        five.place(touchpoint(1, event=event, people={"user_id": "ann"}, properties=properties))[0]
        for event, properties in (
            ("Ad Clicked", {}),
            ("Order Completed", {}),
            ("Shipment Scanned", {"status": "out_for_delivery"}),
            ("Shipment Scanned", {"status": "delivered"}),
            ("Shipment Scanned", {"status": "returning"}),
            ("Contact Opened", {}),
        )
    ]
    assert placed == ["anticipation", "purchase", "delivery", "use", "after-sales", "after-sales"]


def test_numbers_and_truth_values_are_taken_as_they_are_compared() -> None:
    file = stage_files.check_bytes(stage("where: {score: [1, 2.50], wants_person: [yes], code: ['07']}").encode()).file
    assert file is not None
    assert file.stages[0].enter[0].where == {"score": ("1", "2.5"), "wants_person": ("true",), "code": ("07",)}
    one = touchpoint(
        1, event="X", people={"user_id": "a"}, properties={"score": 2.5, "wants_person": True, "code": "07"}
    )
    assert Stages(file).place(one)[0] == "a"


def test_a_file_that_cannot_be_used_stops_what_needs_it_with_every_error(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(stage("event: Foo") + "  - {}\n", encoding="utf-8")
    with pytest.raises(StageError) as error:
        stage_files.load(mine)
    lines = str(error.value).splitlines()
    assert len(lines) == 3 and all(line.startswith(f"{mine}:") for line in lines)
    with pytest.raises(StageError, match="no_file"):
        stage_files.load(tmp_path / "none.yaml")


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=8), st.sampled_from(("track", "web"))
)
keys = st.sampled_from(("stages", "name", "enter", "actions", "done", "event", "type", "channel", "where", "other"))
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=30
)


@given(trees | st.fixed_dictionaries({"stages": st.lists(trees, max_size=3)}))
def test_whatever_is_written_is_used_or_told_what_is_wrong(tree: object) -> None:
    checked = stage_files.check_bytes(yaml.safe_dump(tree).encode())
    assert (checked.file is None) == bool(checked.errors)
    assert all(one.code in CODES and one.message for one in checked.problems)
    if checked.file is not None:
        assert Stages(checked.file).names


@given(st.binary(max_size=60))
def test_bytes_that_nobody_thought_of_are_told_what_is_wrong(data: bytes) -> None:
    checked = stage_files.check_bytes(data)
    assert checked.file is None and checked.errors
