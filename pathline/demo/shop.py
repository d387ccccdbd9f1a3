"""The shop's page and what stands behind its buttons."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from pathline.demo import visitors
from pathline.demo.credentials import BROWSER_KEY, SERVER_KEY
from pathline.demo.customer import CATALOGUE
from pathline.demo.hosts import EVERYWHERE, Hosts
from pathline.demo.journeys import Journeys, UnavailableError
from pathline.demo.metrics import DemoMetrics
from pathline.demo.pace import utc_now
from pathline.demo.visits import ITEMS_MAX, PROMISE, Call, Order, Purchase, TroubleError, Visits, What
from pathline.kit.settings import join_address, split_address
from pathline.sending.client import Collector, RefusedError, UnreachableError

PAGE: Final = Path(__file__).with_name("page")
BODY_BYTES_MAX: Final = 8_192
VIEWS: Final = ("/", "/product/{sku}", "/cart", "/checkout", "/order/{order_id}")
"""Paths of the page. Its script shows the view that the path names, so that each can be reloaded."""

Name = Annotated[str, msgspec.Meta(min_length=8, max_length=100, pattern=r"^[0-9A-Za-z._-]+$")]
"""An id that the page made: letters, digits and a few signs."""
Mailbox = Annotated[str, msgspec.Meta(min_length=3, max_length=200, pattern="@")]
OrderId = Annotated[str, msgspec.Meta(max_length=100)]
Items = Annotated[list[str], msgspec.Meta(min_length=1, max_length=ITEMS_MAX)]


class PayBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Pay for a cart, or let the payment fail."""

    anonymous_id: Name
    checkout_id: Name
    email: Mailbox
    items: Items
    fail: bool = False


class TellBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Let a server of the shop tell something of an order."""

    anonymous_id: Name
    order_id: OrderId
    what: What


_encode: Final = msgspec.json.Encoder().encode
_read_pay: Final = msgspec.json.Decoder(PayBody).decode
_read_tell: Final = msgspec.json.Decoder(TellBody).decode


class Shop:
    """The page, the actions of its buttons, and the visitor's journey beside it."""

    def __init__(
        self,
        *,
        visits: Visits,
        collector: Collector,
        journeys: Journeys,
        metrics: DemoMetrics,
        collector_address: str,
        console_address: str,
    ) -> None:
        """Serve a page whose script speaks to the collector, and whose links lead to the console."""
        self._visits = visits
        self._collector = collector
        self._journeys = journeys
        self._metrics = metrics
        self._collector_address = collector_address
        self._console_address = console_address
        loader = FileSystemLoader(PAGE)
        pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, enable_async=False)
        self._page = pages.get_template("index.html")

    def routes(self) -> list[BaseRoute]:
        """What the shop answers."""
        return [
            *(Route(path, self.page, methods=["GET"]) for path in VIEWS),
            Route("/api/pay", self.pay, methods=["POST"]),
            Route("/api/tell", self.tell, methods=["POST"]),
            Route("/api/journey", self.journey, methods=["GET"]),
            Mount("/static", StaticFiles(directory=PAGE / "static")),
        ]

    async def page(self, request: Request) -> Response:
        """The one page, for every view."""
        collector = _origin(self._collector_address, request)
        goods = [{"sku": p.sku, "name": p.name, "price": p.price, "currency": "EUR"} for p in CATALOGUE]
        html = self._page.render(
            collector=collector,
            console=_origin(self._console_address, request),
            key=BROWSER_KEY,
            goods=goods,
            visitor=self._visitor(),
            promise_seconds=round(PROMISE.total_seconds()),
        )
        policy = (
            f"default-src 'none'; script-src 'self' {collector}; connect-src 'self' {collector}; style-src 'self'; "
            "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        headers = {"content-security-policy": policy, "cache-control": "no-store", "referrer-policy": "same-origin"}
        return Response(html, media_type="text/html", headers=headers)

    def _visitor(self) -> str:
        """An id for who comes to the page without one; empty while none can be made."""
        try:
            return visitors.new(self._journeys.token())
        except UnavailableError:
            return ""

    async def pay(self, request: Request) -> Response:
        """The bank answers, and on success the order is placed and handed to the courier."""
        body = _read_pay(await _body(request))
        purchase = Purchase(body.anonymous_id, body.checkout_id, body.email, body.items, body.fail)
        order, calls = self._visits.pay(purchase, utc_now())
        self._metrics.visits.set(len(self._visits))
        await self._send(calls)
        return _json({"success": True, "paid": order is not None, "order": None if order is None else _shown(order)})

    async def tell(self, request: Request) -> Response:
        """The courier or the contact centre says what the button says."""
        body = _read_tell(await _body(request))
        await self._send(self._visits.tell(body.anonymous_id, body.order_id, body.what, utc_now()))
        return _json({"success": True})

    async def journey(self, request: Request) -> Response:
        """The visitor's journey as it is now. The console's token is used for no one else's."""
        anonymous_id = msgspec.convert(request.query_params.get("anonymousId"), Name)
        if not visitors.is_ours(anonymous_id, self._journeys.token()):
            code = "unknown_visitor"
            raise TroubleError(code, "the shop shows a journey only to a visitor whose id it made", status=403)
        return _json({"success": True, **msgspec.to_builtins(await self._journeys.of(anonymous_id))})

    async def _send(self, calls: Sequence[Call]) -> None:
        refused = await self._collector.send(SERVER_KEY, [_encode(call) for call in calls])
        if refused:
            raise TroubleError(refused[0].code, refused[0].message)


def make_app(shop: Shop, address: str, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The shop at `address` with more `routes`; errors are JSON with a code."""
    return Starlette(
        middleware=[Middleware(Hosts, configured=split_address(address)[0])],
        routes=[*routes, *shop.routes()],
        exception_handlers={
            HTTPException: _handler(lambda e: (e.status_code, "http_error", e.detail)),
            msgspec.ValidationError: _handler(lambda e: (400, "bad_body", str(e))),
            msgspec.DecodeError: _handler(lambda e: (400, "bad_body", str(e))),
            TroubleError: _handler(lambda e: (e.status, e.code, str(e))),
            UnreachableError: _handler(lambda e: (503, "collector_unavailable", str(e))),
            RefusedError: _handler(lambda e: (503, "collector_refuses", str(e))),
            UnavailableError: _handler(lambda e: (503, "console_unavailable", str(e))),
        },
    )


def _handler(said: Callable[[Any], tuple[int, str, str]]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(_request: Request, error: Exception) -> Response:
        status, code, message = said(error)
        return _json({"success": False, "code": code, "message": message}, status)

    return handle


async def _body(request: Request) -> bytes:
    """The body of a request of our own page. Raises TroubleError for one of another site's, or one too large."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        code = "foreign_origin"
        raise TroubleError(code, "the request comes from another site's page", status=403)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            code = "body_too_large"
            raise TroubleError(code, f"the body is larger than {BODY_BYTES_MAX} bytes", status=413)
    return body


def _origin(address: str, request: Request) -> str:
    """Where a browser reaches `address`: a server on every address is met at the host that this request came to."""
    host, port = split_address(address)
    return f"http://{join_address(request.url.hostname or '127.0.0.1' if host in EVERYWHERE else host, port)}"


def _shown(order: Order) -> dict[str, Any]:
    return {
        "orderId": order.order_id,
        "trackingNumber": order.tracking_number,
        "total": order.total,
        "promisedAt": order.promised_at,
    }


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(_encode(body), status, {"cache-control": "no-store"}, media_type="application/json")
