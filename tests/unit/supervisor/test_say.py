"""What a person sees: lines, at once, each download step once."""

import io

from rich.console import Console

from pathline.supervisor.say import Reporter


def test_a_download_says_its_first_each_quarter_and_its_last_step() -> None:
    out = io.StringIO()
    with Reporter(Console(file=out, soft_wrap=True)) as say:
        for done in [0, 0, *range(9), 8]:
            say.download(done, 8, done * 1_048_576)
    assert [line.split(": ")[2] for line in out.getvalue().splitlines()] == [
        f"{done} of 8, {done}.0 MB" for done in (0, 2, 4, 6, 8)
    ]


def test_a_line_is_as_it_was_given() -> None:
    out = io.StringIO()
    with Reporter(Console(file=out, highlight=False, soft_wrap=True, markup=False, emoji=False)) as say:
        say.line("[bold]/a path/:smile:" + "x" * 300)
    assert out.getvalue() == "[bold]/a path/:smile:" + "x" * 300 + "\n"


def test_a_reader_who_left_does_not_end_it() -> None:
    out = io.StringIO()
    with Reporter(Console(file=out)) as say:
        out.close()
        say.line("still here")
