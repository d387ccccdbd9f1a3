"""The `pathline` program. Only this package may import the services, and only when one is asked for."""

import typer

from pathline.commands import service

app = typer.Typer(
    name="pathline",
    help="Every touchpoint of a customer in one live journey, and an alert before the customer has to call.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
service.register(app)


def main() -> None:
    """Run the command line."""
    app()
