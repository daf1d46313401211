"""What a Bugzilla has to choose from: components, values, keywords, people, custom fields, each by its name.

https://bugzilla.readthedocs.io/en/5.2/api/core/v1/field.html, .../product.html, .../user.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from bridge import Directory, Json, Names, NotAllowed, by_name, list_inside
from bridge.doctor import did_you_mean

if TYPE_CHECKING:
    from bridge_plugins.bugzilla import Bugzilla

CHOICES = {"severity": "bug_severity", "priority": "priority", "op_sys": "op_sys", "platform": "rep_platform"}
"""Fields with values to choose from, and what Bugzilla calls the list."""
SYNONYMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "priority": {"Highest": ("P1",), "High": ("P2",), "Low": ("P4",)},
    "severity": {
        "critical": ("S1",),
        "major": ("S2",),
        "minor": ("S3",),
        "trivial": ("minor", "S4"),
        "enhancement": ("N/A",),
    },
    "op_sys": {"macos": ("Mac OS", "Mac OS X"), "os x": ("Mac OS", "macOS")},
}
"""What the same thing is called at other sites."""
OTHERWISE = {"op_sys": ("Other", "All", "Unspecified"), "platform": ("All", "Unspecified", "Other")}
"""Taken where a site has no such value: Bugzilla wants one."""


class Lists(Directory):
    """The lists that one tracker looks names up in.

    Attributes:
        products: Those that the key's user may file into.
        values: For a field with choices, what they are.
        custom_fields: Their API names, by these and by what people call them.
    """

    def __init__(self, tracker: Bugzilla) -> None:
        self._tracker = tracker
        made = partial(Names, clock=tracker.tools.clock)
        self.products = made("product that the key's user may file into", self._fetch_products)
        self.components = made("active component", partial(self._fetch_of_product, "components"))
        self.versions = made("active version", partial(self._fetch_of_product, "versions"))
        self.keywords = made("keyword", self._fetch_keywords)
        self.custom_fields = made("custom field", self._fetch_custom_fields)
        self.values = {field: made(field, partial(self._fetch_values, name)) for field, name in CHOICES.items()}
        self._people: dict[str, Names] = {}

    async def product(self) -> dict[str, Json]:
        """Return what there is to know about the product.

        Raises:
            NotAllowed: There is none for the key's user; says which one may be meant.
        """
        name = self._tracker.settings.product
        fields = "name,is_active,components,versions"
        found = await self._get("/product", "products", names=name, include_fields=fields)
        if found:
            return found[0]
        hint = did_you_mean(name, await self.products.all())
        raise NotAllowed(f'there is no product "{name}" for the key\'s user' + (f"; {hint}" if hint else ""))

    async def value(self, field: str, word: str) -> str | None:
        """Return the value of a field that `word` means at this site, None where there is none."""
        for each in (word, *SYNONYMS.get(field, {}).get(word, ()), *OTHERWISE.get(field, ())):
            if found := await self.values[field].find(each):
                return found
        return None

    async def person(self, name: str) -> str | None:
        """Return the login name of somebody, given it or the real name; None where there is nobody."""
        known = Names("user", partial(self._fetch_users, name), self._tracker.tools.clock)
        return await self._people.setdefault(name, known).find(name)

    async def described_fields(self) -> list[dict[str, Json]]:
        """Return the custom fields: name, what people call it, whether it must be filled in."""
        asked = "name,display_name,is_custom,is_mandatory,is_on_bug_entry"
        fields = await self._get("/field/bug", "fields", include_fields=asked)
        return [field for field in fields if field.get("is_custom")]

    async def _get(self, path: str, key: str, **params: str) -> list[dict[str, Json]]:
        return list_inside(await self._tracker.call("GET", path, params=params), key)

    async def _fetch_products(self) -> Mapping[str, str]:
        products = await self._get("/product", "products", type="enterable", include_fields="name")
        return by_name(products, "name", id_key="name")

    async def _fetch_of_product(self, what: str) -> Mapping[str, str]:
        active = [each for each in (await self.product())[what] if each.get("is_active", True)]
        return by_name(active, "name", id_key="name")

    async def _fetch_values(self, field: str) -> Mapping[str, str]:
        return {str(value): str(value) for value in await self._get(f"/field/bug/{field}/values", "values")}

    async def _fetch_keywords(self) -> Mapping[str, str]:
        fields = await self._get("/field/bug/keywords", "fields")
        values = [value for field in fields for value in field.get("values") or ()]
        return by_name(values, "name", id_key="name")

    async def _fetch_custom_fields(self) -> Mapping[str, str]:
        return by_name(await self.described_fields(), "display_name", "name", id_key="name")

    async def _fetch_users(self, name: str) -> Mapping[str, str]:
        users = await self._get("/user", "users", match=name, include_fields="name,real_name")
        return by_name(users, "name", "real_name", id_key="name")
