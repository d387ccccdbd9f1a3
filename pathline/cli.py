"""The `pathline` program. Only the commands may import the services, and only when one is asked for."""

import sys

import typer

from pathline.commands import demo, importing, keys, platform, service, trouble

app = typer.Typer(
    name="pathline",
    help="Every touchpoint of a customer in one live journey, and an alert before the customer has to call.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (platform, service, keys, importing, demo):
    module.register(app)


def main() -> None:
    """Run the command line. What stands in the way is a line with a stable code and an exit status of its own."""
    trouble.quiet_libraries()
    try:
        app()
    except trouble.EXPECTED as problem:
        said = trouble.explain(problem)
        sys.stderr.write(f"pathline: {said} [{said.code.word}]\n")
        sys.exit(int(said.code))


if __name__ == "__main__":
    main()
