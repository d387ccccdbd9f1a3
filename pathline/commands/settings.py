"""Every setting of every part, read off the settings classes themselves."""

import importlib
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final, NamedTuple

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from pathline.kit.settings import Settings

SERVICE_MODULES = (
    *(f"services.{name}.settings" for name in ("ingest", "stitcher", "scorer", "console")),
    "pathline.demo.settings",
)
_OF_COMMANDS: Final = (
    (
        "PATHLINE_CACHE",
        "",
        "",
        "Folder of downloads, for every home of this user; unset: `pathline` in the user's cache directory.",
    ),
    ("PATHLINE_WRITE_KEY", "demo", "", "A server's write key for `pathline import`."),
)
"""What is read where no settings class is: before there is a home, or by one command alone."""

_PREFIX: Final = "PATHLINE_"
_BOUNDS = {"ge": "from {}", "le": "to {}", "gt": "above {}", "lt": "below {}", "pattern": "{}", "max_length": "{} long"}


class Setting(NamedTuple):
    """One variable, as it is shown."""

    variable: str
    default: str
    bounds: str
    description: str


def all_settings() -> list[Setting]:
    """The common settings first, then each service's own, then those of single commands."""
    seen: dict[str, Setting] = {}
    for kind in _classes():
        for name, field in kind.model_fields.items():
            variable = f"{kind.model_config.get('env_prefix', '')}{name}".upper()
            seen.setdefault(variable, Setting(variable, _default(field), _bounds(field), field.description or ""))
    return [*seen.values(), *(Setting(*told) for told in _OF_COMMANDS)]


def check_all() -> None:
    """Read every setting of every part. Raises pydantic's ValidationError, which names each bad variable."""
    for kind in _classes():
        kind.load()


def unknown(environment: Iterable[str]) -> list[str]:
    """A sentence for each of these names that begins like a setting and is none: most likely it is mistyped."""
    # Compared without the prefix, in which all of them are alike.
    known = [setting.variable.removeprefix(_PREFIX) for setting in all_settings()]
    said = []
    for name in sorted(environment):
        word = name.upper().removeprefix(_PREFIX)
        if name.upper().startswith(_PREFIX) and word not in known:
            meant = get_close_matches(word, known, n=1)
            hint = f"; is it {_PREFIX}{meant[0]}?" if meant else ", see `pathline settings`"
            said.append(f"{name} is no setting{hint}")
    return said


def _classes() -> Iterator[type[Settings]]:
    yield Settings
    for module in SERVICE_MODULES:
        for thing in vars(importlib.import_module(module)).values():
            if isinstance(thing, type) and issubclass(thing, Settings) and thing is not Settings:
                yield thing


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value is None or isinstance(value, SecretStr) else str(value)


def _bounds(field: FieldInfo) -> str:
    said = []
    for constraint in field.metadata:
        for name, words in _BOUNDS.items():
            value = getattr(constraint, name, None)
            if value is not None:
                said.append(words.format(value))
    return " ".join(said)
