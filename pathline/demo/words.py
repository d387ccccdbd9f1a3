"""The word lists from which the demo's shop makes its customers, goods and places. All addresses are reserved ones."""

from __future__ import annotations

from random import Random
from typing import Any, Final, NamedTuple

FIRST_NAMES: Final = (
    "Ada", "Amir", "Bea", "Carlos", "Chloe", "Dana", "Elif", "Emma", "Farid", "Greta", "Hana", "Hugo", "Ines", "Jonas",
    "Kofi", "Lena", "Lucia", "Mads", "Maya", "Mei", "Nadia", "Noah", "Olga", "Omar", "Priya", "Rosa", "Sami", "Tara",
    "Theo", "Yuki",
)  # fmt: skip
LAST_NAMES: Final = (
    "Adeyemi", "Alvarez", "Becker", "Bianchi", "Chen", "Costa", "Dubois", "Eriksen", "Fischer", "Gupta", "Haddad",
    "Ito", "Jansen", "Kaya", "Kim", "Larsen", "Lopez", "Mensah", "Moreau", "Novak", "Okafor", "Patel", "Rossi",
    "Santos", "Silva", "Tanaka", "Varga", "Weber", "Yilmaz", "Zhang",
)  # fmt: skip
CITIES: Final = (
    ("Berlin", "DE", "Europe/Berlin"), ("Hamburg", "DE", "Europe/Berlin"), ("Lyon", "FR", "Europe/Paris"),
    ("Porto", "PT", "Europe/Lisbon"), ("Leeds", "GB", "Europe/London"), ("Austin", "US", "America/Chicago"),
    ("Boston", "US", "America/New_York"), ("Osaka", "JP", "Asia/Tokyo"),
)  # fmt: skip
CARRIERS: Final = ("Swift Parcel", "Blue Van", "Northbound")
AREA_CODES: Final = (202, 206, 212, 303, 305, 312, 404, 415, 503, 512, 602, 617, 702, 713, 801, 919)
"""Where 555-0100 to 555-0199 are kept free for fiction."""
BRITISH_FICTION: Final = 1_000
"""+44 7700 900000 to 900999 are given to nobody."""

ADJECTIVES: Final = ("Oak", "Linen", "Copper", "Woollen", "Enamel", "Cork", "Glass", "Bamboo")
NOUNS: Final = ("Lamp", "Kettle", "Chair", "Blanket", "Teapot", "Shelf", "Mirror", "Backpack", "Clock", "Basket")
COMMENTS: Final = {
    "bad": (
        "Still waiting, and nobody tells me anything.",
        "It came too late for the birthday.",
        "I had to call twice.",
        "The box was open.",
    ),
    "good": ("Quick and easy.", "Lovely, thank you.", "Just as described.", "I will be back."),
}
DECLINES: Final = ("insufficient_funds", "expired_card", "do_not_honor", "incorrect_cvc")
TROUBLES: Final = (
    ("exception", "address not found"),
    ("exception", "parcel damaged at the hub"),
    ("delayed", "road closed"),
    ("delayed", "sorted to the wrong hub"),
)


class Product(NamedTuple):
    """Something on sale; the price is in cents of the shop's currency, EUR."""

    sku: str
    name: str
    cents: int

    @property
    def price(self) -> str:
        """The price as a decimal."""
        return money(self.cents)

    def properties(self) -> dict[str, Any]:
        """As Segment's e-commerce events carry a product."""
        return {"product_id": self.sku, "sku": self.sku, "name": self.name, "price": self.price, "currency": "EUR"}


class Persona(NamedTuple):
    """Who a simulated customer is."""

    name: str
    email: str
    phone: str
    city: str
    country: str
    zone: str


def money(cents: int) -> str:
    """Cents as a decimal: 1990 -> `19.90`."""
    return f"{cents // 100}.{cents % 100:02}"


def catalogue() -> tuple[Product, ...]:
    """Everything on sale, always the same."""
    goods: list[Product] = []
    for i, noun in enumerate(NOUNS):
        for j in range(2):
            adjective = ADJECTIVES[(i * 3 + j * 5) % len(ADJECTIVES)]
            cents = 1_490 + (i * 7 + j * 11) % 13 * 700
            goods.append(Product(f"{noun[:3].upper()}-{len(goods) + 1:02}", f"{adjective} {noun}", cents))
    return tuple(goods)


def persona(chance: Random, tag: str) -> Persona:
    """Somebody, with a mailbox that nobody else has because `tag` is in it."""
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    city, country, zone = chance.choice(CITIES)
    if country == "GB":
        phone = f"+447700900{chance.randrange(BRITISH_FICTION):03}"
    else:
        phone = f"+1{chance.choice(AREA_CODES)}55501{chance.randrange(100):02}"
    return Persona(
        f"{first} {last}", f"{first}.{last}.{tag}@example.com".lower(), phone, city, country, zone
    )  # fmt: skip
