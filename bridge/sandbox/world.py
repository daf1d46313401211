"""What there is in the sandbox: products, bugs, connections, and the log of webhooks. All in memory."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bridge.model import Json
from bridge.sandbox.options import Options

_PRODUCTS = ("Web shop", "Shop app", "Back office", "Customer portal", "Check-in kiosk")
_PLACES = ("Checkout", "Search", "Product page", "Login", "Wish list", "Account", "Newsletter", "Basket")
_FAULTS = (
    "total is incorrect after a promo code", "button does nothing", "text overlaps the picture",
    "shows a blank page", "forgets what was entered", "is cut off on a small screen", 'says "undefined"',
    "cannot be closed",
)  # fmt: skip
_SEVERITIES = ("critical", "high", "high", "low", "low", "visual", "content", "suggestion", "spelling")
_DEVICES = (
    ("mobile", "ios", "17.2", "safari", "Smartphones", "Apple", "iPhone 15"),
    ("mobile", "android", "14", "chrome", "Smartphones", "Google", "Pixel 8"),
    ("desktop", "macos", "14.1", "firefox", "Desktop", "Apple", "MacBook Pro"),
    ("desktop", "windows", "11", "edge", "Desktop", "Lenovo", "ThinkPad"),
)
_BEGINNING = datetime(2026, 1, 5, 9, tzinfo=UTC)

STATUSES = ("export_requested", "not_exported", "exported")


@dataclass(slots=True)
class Product:
    """A product with its sections (id to name)."""

    id: int
    name: str
    sections: dict[int, str]


@dataclass(slots=True)
class Bug:
    """A bug and where it is. `export_status` is one of `STATUSES`."""

    id: int
    title: str
    severity: str
    product: Product
    section: int
    place: str
    device: tuple[str, ...]
    reported_at: datetime
    status: str = "accepted"
    known: bool = False
    fixed: bool = False
    export_status: str = "not_exported"
    exported_at: datetime | None = None
    exports: int = 0
    marks: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Connection:
    """A Custom Bug Export Connection."""

    id: int
    name: str
    url: str
    fixed: bool = False
    product_ids: list[int] = field(default_factory=list)
    section_ids: list[int] = field(default_factory=list)

    def shown(self) -> dict[str, Json]:
        """Return it as test IO documents it: without products and sections."""
        return {"id": self.id, "name": self.name, "url": self.url, "fixed": self.fixed}

    def covers(self, bug: Bug) -> bool:
        """Whether bugs like this one go there. One without any ids is for all; test IO does not say."""
        if not self.product_ids and not self.section_ids:
            return True
        return bug.product.id in self.product_ids or bug.section in self.section_ids


@dataclass(frozen=True, slots=True)
class Sent:
    """A line of the log: one webhook that was sent, or was not."""

    at: datetime
    bug: int
    connection: str
    attempt: int
    outcome: str
    answer: str = ""


@dataclass(slots=True)
class World:
    """Everything there is.

    Attributes:
        url: Where the sandbox serves; known once it does.
        requests: Method and path of each API request, in order.
    """

    options: Options
    products: dict[int, Product]
    bugs: dict[int, Bug]
    connections: dict[int, Connection] = field(default_factory=dict)
    log: list[Sent] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    auto_export: bool = False
    url: str = ""
    next_connection: int = 1

    def product(self, product: Product) -> dict[str, Json]:
        """Return a product as documented. What stands in `connection`, other than null, is not."""
        mine = (each for each in self.connections.values() if product.id in each.product_ids)
        connection = next(mine, None)
        return {
            "id": product.id,
            "name": product.name,
            "description": f"{product.name}, invented",
            "default_section_id": next(iter(product.sections)),
            "sections": [{"id": number, "name": name} for number, name in product.sections.items()],
            "connection": connection.shown() if connection else None,
        }

    def bug(self, bug: Bug) -> dict[str, Json]:
        """Return a bug as the REST API documents it; with the option `full`, all that the Java client knows."""
        shown: dict[str, Json] = {
            "id": bug.id,
            "title": bug.title,
            "severity": bug.severity,
            "language": "en",
            "location": f"https://shop.example.com/{bug.place.lower().replace(' ', '-')}",
            "expected_result": f"{bug.place} works",
            "actual_result": bug.title,
            "steps": "\n".join(steps(bug)),
            "known": bug.known,
            "exported_at": moment(bug.exported_at) if bug.exported_at else None,
        }
        return shown | self._more(bug) if self.options.full else shown

    def payload(self, bug: Bug, exported_at: datetime) -> dict[str, Json]:
        """Return what is posted to a connection, as documented."""
        device_type, system, version, browser = bug.device[:4]
        return {
            "event": "bug.exported",
            "exported_at": moment(exported_at),
            "bug": {
                "id": bug.id,
                "title": bug.title,
                "description": f"Seen at {bug.place}: {bug.title}.",
                "steps_to_reproduce": steps(bug),
                "expected_result": f"{bug.place} works",
                "actual_result": bug.title,
                "severity": bug.severity,
                "priority": "p2",
                "status": bug.status,
                "attachments": [{"url": url, "type": kind} for url, kind in self._files(bug)],
                "device": {"device_type": device_type, "os": system, "os_version": version, "browser": browser},
                "reporter": {"id": 900 + bug.id % 7, "name": f"Tester {bug.id % 7}"},
                "test_cycle_id": 7000 + bug.product.id,
                "product_id": bug.product.id,
                "link": f"{self.url}/bugs/{bug.id}",
            },
        }

    def _files(self, bug: Bug) -> list[tuple[str, str]]:
        files = [(f"{self.url}/attachments/{bug.id}-screenshot.png", "image/png")]
        return (
            [*files, (f"{self.url}/attachments/{bug.id}-console.log", "text/plain")] if bug.id % 3 == 0 else files
        )

    def _more(self, bug: Bug) -> dict[str, Json]:
        _, system, version, browser, category, vendor, device = bug.device
        feature = {"id": 60 + bug.section, "title": bug.place, "description": "", "location": "", "howtofind": ""}
        return {
            "status": bug.status,
            "feature": feature,
            "author": {"name": f"Tester {bug.id % 7}"},
            "comments": [
                {
                    "id": bug.id * 10,
                    "body": "I see it, too",
                    "author": {"name": "Team leader"},
                    "created_at": moment(bug.reported_at),
                }
            ],
            "devices": [
                {
                    "id": 43,
                    "category": {"name": category},
                    "vendor": {"name": vendor},
                    "operating_system": {"name": system},
                    "operating_system_version": {"name": version},
                    "device": {"name": device},
                    "browsers": [{"name": browser}],
                }
            ],
            "reproductions": [],
            "external_idx": None,
            "product": {"id": bug.product.id, "name": bug.product.name, "sections": []},
            "section": {"id": bug.section, "name": bug.product.sections[bug.section]},
            "attachments": [
                {"id": bug.id * 10 + number, "url": url, "thumbnail_urls": {}}
                for number, (url, _) in enumerate(self._files(bug))
            ],
            "test": {"id": 7000 + bug.product.id, "title": "Regression"},
            "test_case": None,
            "test_environment": {
                "id": 9,
                "title": "Staging",
                "url": "https://staging.example.com",
                "username": "staging-user",
                "password": self.options.password,
                "access": f"ask for {self.options.password}",
            },
            "reported_at": moment(bug.reported_at),
        }


def invent(options: Options) -> World:
    """Return a world of the size that the options say; the same seed makes the same one."""
    chance = random.Random(options.seed)
    products = {
        number: Product(
            number,
            _PRODUCTS[(number - 1) % len(_PRODUCTS)],
            {number * 10 + 1: "Default", number * 10 + 2: "Payment"},
        )
        for number in range(1, options.products + 1)
    }
    bugs = {}
    for number in range(101, 101 + options.bugs):
        place = chance.choice(_PLACES)
        product = products[1 + number % len(products)]
        bugs[number] = Bug(
            id=number,
            title=f"{place} {chance.choice(_FAULTS)}",
            severity=chance.choice(_SEVERITIES),
            product=product,
            section=chance.choice(list(product.sections)),
            place=place,
            device=chance.choice(_DEVICES),
            reported_at=_BEGINNING + timedelta(minutes=number),
        )
    return World(
        options, products, bugs, auto_export=options.auto_export, next_connection=options.first_connection
    )


def steps(bug: Bug) -> list[str]:
    """Return the steps to reproduce a bug."""
    return ["Open the shop", f"Go to {bug.place}", "Look closely"]


def moment(value: datetime) -> str:
    """Return a moment as test IO writes it."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
