"""test IO's customer API v2: connections, products and bugs.

Documented at https://guides.test.io/docs/api. Where that is silent, the documented form goes first, and the one
that test IO's own Java client (https://github.com/test-IO/customer-api-java) uses is the second.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from bridge.answers import Answer, Purpose, error_for, redacted, words_in
from bridge.clock import Clock, SystemClock
from bridge.errors import Gone, InDoubt, Rejected, TrackerError, Unavailable
from bridge.http import USER_AGENT, broken_connection
from bridge.lazy import lazily
from bridge.model import Json
from bridge.secrets import Redactor, Secret

if TYPE_CHECKING:
    import httpx
else:
    httpx = lazily("httpx")

Found = TypeVar("Found")

SMALLEST_PAGE = 25
"""test IO's default `per_page` where it documents paging: fewer bugs cannot be a part of a longer list."""

PAGE = 100
_MOST_PAGES = 10_000
_CAPS = frozenset({25, 50, 100, 150, 200, 250, 500, 1000})
_DOCUMENTED_REFUSALS = frozenset({400, 422})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a connection at test IO should be.

    Attributes:
        name: Its name there; test IO wants it at every change.
        url: Where test IO posts exports. Holds the secret: never show it.
        fixed: test IO's `fixed`; None leaves it alone.
        product_ids: Products whose bugs it is for; None leaves them alone. Likewise `section_ids`.
    """

    name: str
    url: str | None = field(default=None, repr=False)
    fixed: bool | None = None
    product_ids: tuple[int, ...] | None = None
    section_ids: tuple[int, ...] | None = None

    def document(self) -> dict[str, Json]:
        """Return it as test IO takes it."""
        parts = {
            "name": self.name,
            "url": self.url,
            "fixed": self.fixed,
            "product_ids": None if self.product_ids is None else list(self.product_ids),
            "section_ids": None if self.section_ids is None else list(self.section_ids),
        }
        return {name: value for name, value in parts.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteConnection:
    """A connection as test IO shows it. `product_ids` and `section_ids` are None where test IO does not say."""

    id: int
    name: str = ""
    url: str = field(default="", repr=False)
    fixed: bool | None = None
    product_ids: tuple[int, ...] | None = None
    section_ids: tuple[int, ...] | None = None


class CustomerApi:
    """test IO's customer API, as one account sees it.

    Every call raises a `bridge.errors.TrackerError` that says what to do next, as trackers do.

    Args:
        url: Its address, up to the version.
        token: The account's API token.
        http: Makes the HTTP client; keyword arguments as `httpx.AsyncClient`.
        timeout: Longest wait for one answer.
        clock: The time.
        redact: Takes secrets out of test IO's words.
    """

    def __init__(
        self,
        url: str,
        token: Secret,
        *,
        http: Callable[..., httpx.AsyncClient],
        timeout: timedelta = timedelta(seconds=30),
        clock: Clock | None = None,
        redact: Redactor | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._redact = redact or Redactor([token.get_secret_value()])
        self._wrapped = False
        self.capped = False
        """Whether the last list of bugs was probably cut off by test IO."""
        seconds = timeout.total_seconds()
        self._client = http(
            base_url=url,
            headers={
                "Authorization": f"Token {token.get_secret_value()}",
                "Accept": "application/json",
                "User-Agent": USER_AGENT,
            },
            timeout=httpx.Timeout(seconds, connect=min(seconds, 10.0)),
            follow_redirects=False,
        )

    async def close(self) -> None:
        """Give back connections."""
        await self._client.aclose()

    # connections: https://guides.test.io/docs/api/connections

    async def create_connection(self, wish: Wish) -> RemoteConnection:
        """Make a connection.

        Raises:
            InDoubt: It was sent, and no clear answer came: test IO may have made it.
        """
        answer = await self._put_in("POST", "/connections", wish, Purpose.CREATE)
        made = _connection(answer)
        if made is None:
            raise InDoubt(f"the answer to the create holds no connection.id: {words_in(answer)}")
        return made

    async def connection(self, connection_id: int) -> RemoteConnection:
        """Return a connection.

        Raises:
            Gone: There is none with this id.
        """
        return _expected(_connection(await self._call("GET", f"/connections/{connection_id}", Purpose.ISSUE)))

    async def update_connection(self, connection_id: int, wish: Wish) -> RemoteConnection:
        """Change a connection; raises as `connection`."""
        answer = await self._put_in("PUT", f"/connections/{connection_id}", wish, Purpose.ISSUE)
        return _expected(_connection(answer))

    async def delete_connection(self, connection_id: int) -> None:
        """Delete a connection; raises as `connection`."""
        await self._call("DELETE", f"/connections/{connection_id}", Purpose.ISSUE)

    async def _put_in(self, method: str, path: str, wish: Wish, purpose: Purpose) -> Json:
        """Send a connection flat, as documented; where that is refused, wrapped, as the Java client does."""
        flat = wish.document()
        forms: list[dict[str, Json]] = [flat, {"connection": flat}]
        first, second = reversed(forms) if self._wrapped else forms
        try:
            return await self._call(method, path, purpose, json=first)
        except Rejected as error:
            if error.status not in _DOCUMENTED_REFUSALS:
                raise
            try:
                answer = await self._call(method, path, purpose, json=second)
            except Rejected:
                raise error from None
            self._wrapped = not self._wrapped
            return answer

    # products: https://guides.test.io/docs/api/products

    async def products(self, product_ids: Sequence[int] = ()) -> list[dict[str, Json]]:
        """Return products, all where none is named. The cheapest way to see whether the token is good."""
        # filter[product_ids] is documented, but not how a list is written in it: all are asked for
        products = _listed(await self._call("GET", "/products"), "products")
        return [each for each in products if not product_ids or each.get("id") in product_ids]

    async def product(self, product_id: int) -> dict[str, Json]:
        """Return a product.

        Raises:
            Gone: There is none with this id.
        """
        answer = await self._call("GET", f"/products/{product_id}", Purpose.ISSUE)
        return _expected(_one(answer, "product"))

    # bugs: https://guides.test.io/docs/api/bugs

    async def bug_pages(
        self, *, product_ids: Iterable[int] = (), section_ids: Iterable[int] = (), export_status: str = ""
    ) -> AsyncIterator[list[dict[str, Json]]]:
        """Yield the bugs that fit, some at a time, each once.

        Paging is not documented: test IO may page, ignore what is asked, or cut the list off. So the list is asked
        for as documented first. Where it is long enough to be a part of a longer one, pages are asked for until
        one brings nothing new. `capped` says afterwards whether the list was probably cut off.

        Args:
            product_ids: Only of these products.
            section_ids: Only of these sections.
            export_status: Only `export_requested`, `not_exported` or `exported`.
        """
        filters = {
            "filter_product_ids": ",".join(map(str, product_ids)),
            "filter_section_ids": ",".join(map(str, section_ids)),
            "export_status": export_status,
        }
        query: dict[str, Any] = {name: value for name, value in filters.items() if value}
        self.capped = False
        whole = _listed(await self._call("GET", "/bugs", params=query), "bugs")
        seen = {each.get("id") for each in whole}
        if whole:
            yield whole
        if len(whole) < SMALLEST_PAGE:
            return
        turned = 0
        async for page in self._more_pages(query):
            fresh = [each for each in page if each.get("id") not in seen]
            seen |= {each.get("id") for each in fresh}
            turned += bool(fresh)
            if fresh:
                yield fresh
        self.capped = not turned and len(whole) in _CAPS

    async def _more_pages(self, query: Mapping[str, Any]) -> AsyncIterator[list[dict[str, Json]]]:
        before: set[Any] = set()
        for number in range(1, _MOST_PAGES):
            try:
                answer = await self._call("GET", "/bugs", params={**query, "page": number, "per_page": PAGE})
            except Rejected:  # what is not documented may be refused
                return
            page = _listed(answer, "bugs")
            ids = {each.get("id") for each in page}
            if ids <= before:
                return
            before |= ids
            yield page

    async def bug(self, bug_id: int) -> dict[str, Json]:
        """Return a bug.

        Raises:
            Gone: There is none with this id.
        """
        return _expected(_bug(await self._call("GET", f"/bugs/{bug_id}", Purpose.ISSUE)))

    async def bugs_by_external_id(self, external_idx: str) -> list[dict[str, Json]]:
        """Return the bugs with an id of an external system, where test IO knows it."""
        sought = {"bug": {"external_idx": external_idx}}
        try:
            answer = await self._call("POST", "/bugs", json=sought)
        except Rejected:
            answer = await self._call("POST", "/bugs/search", json=sought)
        found = _bug(answer)
        return [found] if found else _listed(answer, "bugs")

    async def reject_reasons(self) -> list[dict[str, Json]]:
        """Return why bugs can be rejected: `key`, `name` and `default_comment` each; they differ by account."""
        return _listed(await self._call("GET", "/bugs/reject_reasons"), "reject_reasons")

    async def accept(self, bug_id: int) -> dict[str, Json]:
        """Accept a bug, and return it."""
        return await self._mark(bug_id, "accept")

    async def reject(self, bug_id: int, reason: str, comment: str) -> dict[str, Json]:
        """Reject a bug, and return it.

        Args:
            bug_id: test IO's id.
            reason: The key of one of `reject_reasons`.
            comment: Why, for the tester.
        """
        words = {"reason": reason, "comment": comment}
        path = f"/bugs/{bug_id}/reject"
        try:
            answer = await self._call("PUT", path, Purpose.ISSUE, json=words)
        except Rejected as error:
            if error.status not in _DOCUMENTED_REFUSALS:
                raise
            try:
                answer = await self._call("PUT", path, Purpose.ISSUE, params=words)
            except Rejected:
                raise error from None
        return _bug(answer) or {}

    async def mark_as_exported(self, bug_id: int) -> dict[str, Json]:
        """Mark a bug as exported, and return it. Doing it again changes nothing; likewise the other marks."""
        return await self._mark(bug_id, "mark_as_exported")

    async def mark_as_known(self, bug_id: int) -> dict[str, Json]:
        """Mark a bug as known, and return it."""
        return await self._mark(bug_id, "mark_as_known")

    async def mark_as_fixed(self, bug_id: int) -> dict[str, Json]:
        """Mark a bug as fixed, which takes it off the list of known ones, and return it."""
        return await self._mark(bug_id, "mark_as_fixed")

    async def _mark(self, bug_id: int, how: str) -> dict[str, Json]:
        return _bug(await self._call("PUT", f"/bugs/{bug_id}/{how}", Purpose.ISSUE)) or {}

    # one request

    async def _call(self, method: str, path: str, purpose: Purpose = Purpose.LOOK, **request: Any) -> Json:
        """Send one request, once, and return the answer's JSON.

        Raises:
            TrackerError: The one that fits.
        """
        try:
            response = await self._client.request(method, path.lstrip("/"), **request)
        except httpx.TransportError as error:
            raise redacted(broken_connection(error, purpose), self._redact) from None
        except httpx.DecodingError as error:
            raise redacted(Unavailable(f"an answer that cannot be read: {error}"), self._redact) from None
        refusal = self._error(response, purpose)
        if refusal is not None:
            raise redacted(refusal, self._redact)
        return response.json() if response.content else None

    def _error(self, response: httpx.Response, purpose: Purpose) -> TrackerError | None:
        try:
            data = response.json() if response.content else None
            message = _words(data)
        except ValueError:
            data, message = None, f"an answer that is no JSON: {response.text[:300].strip()}"
        if response.is_success and not (data is None and message):
            return None
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(response.status_code, message, {}, headers)
        return error_for(answer, purpose, self._clock.now())


def _words(data: Json) -> str:
    """Return what a refusal says: test IO documents `error`, and shows it as one text."""
    told = data.get("error") or data.get("errors") if isinstance(data, dict) else None
    if isinstance(told, list):
        return ", ".join(map(str, told))
    if isinstance(told, dict):
        return ", ".join(f"{name}: {words}" for name, words in told.items())
    return str(told) if told else words_in(data) if isinstance(data, dict) else ""


def _connection(answer: Json) -> RemoteConnection | None:
    found = answer.get("connection", answer) if isinstance(answer, dict) else None
    return remote_connection(found)


def remote_connection(found: Json) -> RemoteConnection | None:
    """Return a connection as test IO shows it, alone or inside a product; None where it is none."""
    if not isinstance(found, dict) or not isinstance(found.get("id"), int):
        return None
    fixed = found.get("fixed")
    return RemoteConnection(
        id=found["id"],
        name=str(found.get("name") or ""),
        url=str(found.get("url") or ""),
        fixed=fixed if isinstance(fixed, bool) else None,
        product_ids=_numbers(found.get("product_ids")),
        section_ids=_numbers(found.get("section_ids")),
    )


def _numbers(value: Json) -> tuple[int, ...] | None:
    return tuple(each for each in value if isinstance(each, int)) if isinstance(value, list) else None


def _bug(answer: Json) -> dict[str, Json] | None:
    return _one(answer, "bug")


def _one(answer: Json, name: str) -> dict[str, Json] | None:
    found = answer.get(name, answer) if isinstance(answer, dict) else None
    return found if isinstance(found, dict) and isinstance(found.get("id"), int) else None


def _expected(value: Found | None) -> Found:
    if value is None:
        raise Unavailable("test IO's answer does not hold what was asked for")
    return value


def _listed(answer: Json, name: str) -> list[dict[str, Json]]:
    found = answer.get(name) if isinstance(answer, dict) else answer
    if not isinstance(found, list):
        raise Unavailable(f"test IO's answer holds no {name}")
    return [each for each in found if isinstance(each, dict)]


__all__ = ["CustomerApi", "Gone", "RemoteConnection", "Wish", "remote_connection"]
