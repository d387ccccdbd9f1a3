"""The `pathline` program. Only the commands may import the services, and only when one is asked for."""

import importlib
import sys
from collections.abc import Mapping, Sequence

import typer

from pathline.commands import service, trouble
from pathline.embedded.trouble import Code

COMMANDS = (
    "platform",
    "service",
    "keys",
    "sources",
    "dead_letters",
    "customer",
    "importing",
    "stages",
    "detectors",
    "journeys",
    "backtest",
    "demo",
    "bench",
)
"""The modules of `pathline.commands`; each adds its own to the program."""
QUICK: Mapping[str, Sequence[str]] = {
    "service": tuple(service.SERVICES),
    "platform": ("up", "status", "migrate", "topics", "sign-in", "settings"),
}
"""Commands for which nothing but their own module is imported. Four services start at once, and scripts ask for the
status again and again: all the other modules together take a second of CPU."""


def make_app(modules: Sequence[str] = COMMANDS) -> typer.Typer:
    """The program with the commands of `modules`."""
    app = typer.Typer(
        name="pathline",
        help="Every touchpoint of a customer in one live journey, and an alert before the customer has to call.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )

    @app.callback()
    def root() -> None:
        """Keep the commands' names also when a module has a single one."""

    for name in modules:
        importlib.import_module(f"pathline.commands.{name}").register(app)
    return app


def wanted_modules(arguments: Sequence[str]) -> Sequence[str]:
    """The modules that must be imported to run `arguments`."""
    asked = arguments[0] if arguments else ""
    return next(([module] for module, names in QUICK.items() if asked in names), COMMANDS)


def main() -> None:
    """Run the command line. What stands in the way is a line with a stable code and an exit status of its own."""
    trouble.quiet_libraries()
    try:
        make_app(wanted_modules(sys.argv[1:]))()
    except trouble.EXPECTED as problem:
        said = trouble.explain(problem)
        sys.stderr.write(f"pathline: {said} [{said.code.word}]\n")
        sys.exit(int(said.code))
    except KeyboardInterrupt:
        sys.exit(int(Code.INTERRUPTED))


if __name__ == "__main__":
    main()
