"""Guards: expressions in CEL over what is known of a thing, its order and its customer.

An expression has no state, no clock and no functions but CEL's own. It is compiled once. What it may cost is bounded
by its length, by the depth and the rounds that the library allows, and by the short lists it is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from cel_expr_python import cel

from pathline.domain.detectors.view import CUSTOMER, SESSION, View
from pathline.domain.facts import State
from pathline.domain.story import amount

MAX_LENGTH: Final = 500
"""Characters of an expression."""

MAX_LIST: Final = 20
"""Items of a list that an expression is given."""

THING: Final = "thing"
"""In an expression: the thing that is looked at, whatever its kind."""

_MAP: Final = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
_STRING: Final = re.compile(r"""r?("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')""")
_FAULT: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_MISSING: Final = "Key not found"


class Flaw(NamedTuple):
    """What is wrong with an expression, and where in it; lines and columns count from 1."""

    line: int
    column: int
    code: str
    words: str


class GuardError(ValueError):
    """An expression cannot be used."""

    def __init__(self, flaws: Iterable[Flaw]) -> None:
        """Carry all `flaws`."""
        self.flaws = tuple(flaws)
        super().__init__("; ".join(flaw.words for flaw in self.flaws))


class Value(NamedTuple):
    """Something known of a thing that an expression may name."""

    words: str
    """What it tells, for the documentation."""
    read: Callable[[View, State], Any]


def _told(name: str) -> Callable[[View, State], Any]:
    return lambda _, state: state.value(name)


def _number(*names: str) -> Callable[[View, State], Any]:
    def read(_: View, state: State) -> float | None:
        sums = (amount(state.value(name)) for name in names)
        return next((float(told) for told in sums if told is not None), None)

    return read


def _status(view: View, state: State) -> str | None:
    purchase = view.story.purchase
    return None if purchase is None or purchase.order.state is not state else purchase.status


def _next_attempt(_: View, state: State) -> Any:
    told = state.facts.get("next_attempt")
    failed = [mark for mark in state.marks.get("payments", ()) if (mark.value or {}).get("outcome") == "failed"]
    return None if told is None or (failed and failed[-1].message_id != told.message_id) else told.value


_CURRENCY: Final = Value("its currency", _told("currency"))

VALUES: Final[dict[str, dict[str, Value]]] = {
    "order": {
        "total": Value("what it costs, a number", _number("total")),
        "currency": _CURRENCY,
        "status": Value("where it stands, in one word", _status),
        "delivery_method": Value("how it is to be delivered", _told("delivery_method")),
        "payment_method": Value("how it is paid", _told("payment_method")),
        "carrier": Value("the carrier last told", _told("carrier")),
        "zone": Value("the time zone it goes to", _told("zone")),
        "return_reason": Value("why the customer asked to return it", _told("return_requested")),
    },
    "parcel": {
        "status": Value("the status last scanned", _told("status")),
        "carrier": Value("the carrier last told", _told("carrier")),
    },
    "checkout": {
        "total": Value("what is in it is worth, a number", _number("value", "total")),
        "currency": _CURRENCY,
    },
    "invoice": {
        "next_attempt": Value("when it will be tried again, where the last failure told so", _next_attempt),
    },
    "case": {
        "topic": Value("what it is about", _told("topic")),
        "channel": Value("the channel it was opened on", _told("channel")),
        "sentiment": Value("the sentiment that the sender told", _told("sentiment")),
        "outcome": Value("how it was last closed", _told("outcome")),
    },
    "dispute": {
        "total": Value("the sum, a number", _number("total")),
        "currency": _CURRENCY,
        "reason": Value("why it was opened", _told("reason")),
        "outcome": Value("how it was closed", _told("outcome")),
    },
    SESSION: {},
    CUSTOMER: {
        "named": Value("whether a user_id, an email or a phone is known", lambda v, _: v.customer.named),
        "relation": Value("visitor, new, returning or switching", lambda v, _: v.customer.relation),
        "type": Value("business or consumer", lambda v, _: v.customer.customer_type),
        "segments": Value("the segments, a list; business and switching are among them", lambda v, _: _segments(v)),
    },
}
"""What an expression may name, by kind. docs/detectors.md has the same list, made from this one."""


def _segments(view: View) -> list[str]:
    return sorted(view.customer.segments)


class Guard:
    """A compiled expression."""

    def __init__(self, source: str, kinds: Iterable[str]) -> None:
        """Compile it for detectors of these kinds of things.

        Raises:
            GuardError: it is too long, cannot be read, names what there is not, or is no truth value.
        """
        self.source = source
        known = tuple(kinds)
        self.names = _names(source, known)
        """What it asks for of each variable."""
        variables = dict.fromkeys((THING, "order", *known, CUSTOMER), _MAP)
        try:
            self._expression = cel.NewEnv(variables=variables).compile(source)
        except RuntimeError as error:
            raise GuardError(_flaws(str(error))) from error
        if self._expression.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
            raise GuardError([Flaw(1, 1, "bad_expression", "an expression that is true or false is needed")])
        self.asks_customer = CUSTOMER in self.names or CUSTOMER in known

    def holds(self, view: View) -> bool | None:
        """Whether it is true of the thing; None for what CEL calls an error.

        What names something that is not known is false, and no error. Before the customer was looked up, an expression
        that asks for them is true: what does not hold for anyone holds for nobody.
        """
        if self.asks_customer and view.id not in view.story.customers:
            return True
        data = {variable: _values(view, variable, names) for variable, names in self.names.items()}
        try:
            result = self._expression.eval(data=data)
        except (RuntimeError, TypeError, ValueError):
            return None
        value = result.value()
        if isinstance(value, bool):
            return value
        return False if result.type() == cel.Type.ERROR and _MISSING in str(value) else None


def _values(view: View, variable: str, names: Iterable[str]) -> dict[str, Any]:
    kind, state = view.kind if variable == THING else variable, view.state
    if variable not in {THING, CUSTOMER, view.kind}:
        if variable != "order" or view.story.order is None:
            return {}
        state = view.story.order.state
    offered = VALUES.get(kind, {})
    told = {name: _plain(offered[name].read(view, state)) for name in names if name in offered}
    return {name: value for name, value in told.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [str(one) for one in value[:MAX_LIST]]
    # CEL knows whole numbers of 64 bits only.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _names(source: str, kinds: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
    """What it asks for of each variable."""
    if len(source) > MAX_LENGTH:
        raise GuardError([Flaw(1, 1, "too_long", f"an expression has at most {MAX_LENGTH} characters")])
    bare = _STRING.sub(lambda match: " " * len(match[0]), source)
    variables = (THING, "order", *kinds, CUSTOMER)
    pattern = re.compile(rf"(?<![\w.])({'|'.join(dict.fromkeys(variables))})\b(?:\s*\.\s*([A-Za-z_]\w*))?")
    found: dict[str, set[str]] = {}
    flaws = []
    for match in pattern.finditer(bare):
        variable, name = match[1], match[2]
        asked = kinds if variable == THING else (variable,)
        if name is None:
            flaws.append(
                _flaw(bare, match.start(), "bad_expression", f"{variable} needs a name, as in {variable}.NAME")
            )
            continue
        found.setdefault(variable, set()).add(name)
        lacking = [kind for kind in asked if name not in VALUES.get(kind, {})]
        if lacking:
            offered = ", ".join(VALUES.get(lacking[0], {})) or "nothing"
            words = f"{name!r} is nothing that is known of a {lacking[0]}: {offered}"
            flaws.append(_flaw(bare, match.start(2), "unknown_name", words))
    if flaws:
        raise GuardError(flaws)
    return {variable: frozenset(names) for variable, names in found.items()}


def _flaw(source: str, place: int, code: str, words: str) -> Flaw:
    before = source[:place]
    return Flaw(before.count("\n") + 1, place - before.rfind("\n"), code, words)


def _flaws(said: str) -> list[Flaw]:
    flaws = []
    for line, column, words in _FAULT.findall(said):
        unknown = "undeclared reference" in words
        # The library's word for where no container of names is set says nothing to an analyst.
        told = words.replace(" (in container '')", "")
        flaws.append(Flaw(int(line), int(column), "unknown_name" if unknown else "bad_expression", told))
    return flaws or [Flaw(1, 1, "bad_expression", said.removesuffix(" [CANCELLED]").split(": ", 1)[-1])]
