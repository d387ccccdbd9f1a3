"""`pathline journeys rebuild`: journeys by another stage file, or as a newer version tells them."""

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final, NoReturn

import asyncpg
import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pathline.commands import trouble
from pathline.commands.database import with_database
from pathline.contracts import stage_files
from pathline.domain.stages import StageError
from pathline.embedded.trouble import Code, TroubleError
from pathline.kit import kafka
from pathline.kit.database import close_pool, create_pool
from pathline.storage import rebuilding
from pathline.storage.rebuilding import CANCELLED, CATCHING_UP, DONE, READING, REPLACED, WRITING, Job
from pathline.storage.stitching import NewerStateError
from services.stitcher.rebuild import AlreadyRunningError, OtherStagesError, Rebuild, Stopped
from services.stitcher.settings import RebuildSettings

NOT_WHOLE: Final = 1
"""It ended and has to be run again, or there is nothing to show or to cancel."""

REFUSED: Final = 2
INTERRUPTED: Final = 130

STATEMENT_TIMEOUT_MS: Final = 600_000
"""A page takes milliseconds; the notes of one thing that a million touchpoints name take longer."""

LOST: Final = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    OSError,
)
"""What a database that goes away in the middle is seen by."""

app = typer.Typer(help="Journeys: rebuild them by another stage file.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="journeys", rich_help_panel="Data")


@app.callback()
def group() -> None:
    """Keep the name of the single command."""


@app.command()
def rebuild(
    *,
    status: Annotated[bool, typer.Option("--status", help="Only say how far it is.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End the one that runs, or that was left.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also while stitchers run another stage file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object at the end.")] = False,
) -> None:
    """Rebuild all journeys by the stage file of PATHLINE_STAGES. Stopped, it goes on from where it was."""
    if status:
        _show(*with_database(_latest), as_json=as_json)
    elif cancel:
        _cancel(as_json=as_json)
    else:
        _run(anyway=anyway, as_json=as_json)


async def _latest(db: Any) -> tuple[Job | None, bool]:
    return await rebuilding.latest(db), await rebuilding.worked_on(db)


def _show(job: Job | None, running: bool = False, *, as_json: bool) -> None:  # noqa: FBT001, FBT002 - one of a pair
    if as_json:
        typer.echo(msgspec.json.encode(told_of(job, running=running)).decode())
    else:
        typer.echo("no rebuild was ever begun" if job is None else said_of(job, running=running))
    if job is None:
        raise typer.Exit(NOT_WHOLE)


def _cancel(*, as_json: bool) -> None:
    async def ask(db: Any) -> Job | None:
        if not await rebuilding.ask_to_cancel(db):
            return None
        job = await rebuilding.unfinished(db)
        if job is not None and await rebuilding.alone(db):
            # Nobody is there to do it.
            await rebuilding.end(db, job, CANCELLED)
        return await rebuilding.latest(db)

    job = with_database(ask)
    if job is None:
        typer.echo("no rebuild is under way", err=True)
        raise typer.Exit(NOT_WHOLE)
    _show(job, job.finished_at is None, as_json=as_json)


def _run(*, anyway: bool, as_json: bool) -> None:
    say = Console(stderr=True, soft_wrap=True)
    trouble.quiet_loop()
    try:
        job = asyncio.run(_rebuild(RebuildSettings.load(), say, anyway=anyway))
    except AlreadyRunningError as running:
        _refuse(say, "another process is at it; `--status` says how far", "rebuild_running", running)
    except OtherStagesError as others:
        _refuse(
            say, f"{others}, or did 30 seconds ago; start these anew first, or say --anyway", "other_stages", others
        )
    except NewerStateError as newer:
        _refuse(say, str(newer), "newer_state", newer)
    except StageError as wrong:
        _refuse(say, str(wrong), "bad_stage_file", wrong)
    except Stopped:
        say.print("stopped; the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    except LOST as lost:
        # Of a connection that is gone the driver speaks in terms of its pool.
        why = "" if isinstance(lost, asyncpg.InterfaceError) else f" ({str(lost) or type(lost).__name__})"
        message = f"The database went away{why}; the same command goes on from there."
        raise TroubleError(Code.NOT_REACHABLE, message) from lost
    _show(job, as_json=as_json)
    if job.phase != DONE or job.others:
        raise typer.Exit(NOT_WHOLE)


def _refuse(say: Console, message: str, code: str, cause: Exception) -> NoReturn:
    say.print(f"pathline: {message} [{code}]", markup=False, highlight=False)
    raise typer.Exit(REFUSED) from cause


async def _rebuild(settings: RebuildSettings, say: Console, *, anyway: bool) -> Job:
    stages = stage_files.load(settings.stages)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pool = await create_pool(
        settings.dsn(), max_size=2, application_name="pathline rebuild", statement_timeout_ms=STATEMENT_TIMEOUT_MS
    )
    try:
        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            TimeRemainingColumn(),
            console=say,
            disable=not sys.stderr.isatty(),
            transient=True,
        ) as bar:
            topic = kafka.topics(settings.topic_prefix).touchpoints
            rebuild = Rebuild(pool, topic, stages, settings, on_progress=_bar(bar), stop=stop)
            return await rebuild.run(anyway=anyway)
    finally:
        await close_pool(pool)


def _bar(bar: Progress) -> Callable[[Job, float], None]:
    tasks: dict[str, TaskID] = {}

    def on_progress(job: Job, behind: float) -> None:
        if job.phase not in tasks:
            tasks[job.phase] = bar.add_task(job.phase, total=None, told="")
        done, of = steps_of(job)
        rate = rate_of(job)
        pace = f"{rate:,.0f}/s" if rate else ""
        told = f"waits for the stitchers, {behind:.0f} s behind" if behind else pace
        bar.update(tasks[job.phase], completed=done, total=max(done, of) or None, told=told)

    return on_progress


def steps_of(job: Job) -> tuple[int, int]:
    """How much of the phase is done, and of how much: touchpoints read, notes written."""
    return (job.touchpoints, job.expected) if job.phase == READING else (job.applied, job.noted)


def rate_of(job: Job) -> float:
    """Steps a second of this phase."""
    return steps_of(job)[0] / job.worked_seconds if job.worked_seconds and job.phase in {READING, WRITING} else 0.0


def told_of(job: Job | None, *, running: bool = False) -> dict[str, Any] | None:
    """What a program reads of it."""
    if job is None:
        return None
    done, of = steps_of(job)
    rate = rate_of(job)
    return {
        "id": job.id, "phase": job.phase, "running": running and job.finished_at is None,
        "stages": job.stages, "fold_version": job.fold_version,
        "started_at": job.started_at, "touched_at": job.touched_at, "finished_at": job.finished_at,
        "retained_since": job.retained_since, "touchpoints": job.touchpoints, "touchpoints_expected": job.expected,
        "placed": job.placed, "notes": job.noted, "notes_written": job.applied, "states_changed": job.changed,
        "states_with_earlier_facts": job.earlier, "others": job.others, "rate": rate,
        "seconds_left": max(0, of - done) / rate if rate else None,
    }  # fmt: skip


def said_of(job: Job, *, running: bool = False) -> str:
    """The same in words; `running`: somebody is at it."""
    done, of = steps_of(job)
    lines = [f"rebuild {job.id} by stage file {job.stages[:8]}: {job.phase}"]
    if job.phase in {READING, WRITING}:
        what = "touchpoints read" if job.phase == READING else "notes written"
        rate = rate_of(job)
        left = f", {max(0, of - done) / rate:,.0f} s left" if rate else ""
        lines.append(f"{done:,} of about {max(done, of):,} {what}, {rate:,.0f}/s{left}")
    elif job.phase == CATCHING_UP:
        lines.append(f"tells once more what was stitched meanwhile; looks at {job.week or 'every week'}")
    else:
        lines.append(f"{job.touchpoints:,} touchpoints read, {job.placed:,} moved, {job.changed:,} states changed")
    if job.finished_at is None:
        lines.append(f"last written at {job.touched_at:%Y-%m-%d %H:%M:%S} UTC")
        lines += _what_next(job, running=running)
    elif job.phase in {CANCELLED, REPLACED} and (job.placed or job.changed):
        lines.append("what it wrote stays: until one is done, journeys go by this stage file in part")
    if job.earlier:
        lines.append(f"{job.earlier:,} states have stages from before what is kept, as an earlier file made them")
    if job.others:
        lines.append("stitchers by another stage file were seen meanwhile: once they are gone, run it again")
    return "\n".join(lines)


def _what_next(job: Job, *, running: bool) -> list[str]:
    if not running:
        return ["nobody is at it: `pathline journeys rebuild` goes on, `--cancel` ends it"]
    return ["it ends after the page in hand"] if job.cancel else []
