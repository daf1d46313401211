"""Bugzilla as far as the bridge talks to it: one product, its bugs, lists and files, under a path.

There is no description to hold requests against: what a recorded 5.0.6 refuses, with its codes, is refused here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from bridge.testing import FakeServer, Reply, Request

PREFIX = "/bugs"
KEY = "Qw3rTy0123456789abcdefABCDEF0123456789zz"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
STATUSES = {
    "product": 106, "comment": 114, "alias": 103, "summary": 104, "unknown_key": 53, "no_value": 51, "no_bug": 101,
    "required": 50, "no_key": 410, "wrong_key": 306, "no_method": 32614,
}  # fmt: skip
HTTP = {106: 401, 410: 401, 51: 404, 101: 404, 32614: 404}
NEW = frozenset(
    {"product", "component", "version", "summary", "description", "op_sys", "platform", "severity", "priority",
     "alias", "url", "whiteboard", "keywords", "assigned_to", "blocks", "cc", "status", "target_milestone"}
)  # fmt: skip
CHANGED = NEW - {"description"} | {"comment", "resolution"}
NEEDS_EDITBUGS = ("assigned_to", "blocks", "keywords", "status", "target_milestone")


class Refusal(Exception):
    """What Bugzilla says no with."""

    def __init__(self, kind: str, words: str) -> None:
        self.kind = kind
        super().__init__(words)

    def reply(self) -> Reply:
        code = STATUSES[self.kind]
        error = {
            "error": True,
            "code": code,
            "message": str(self),
            "documentation": "https://www.bugzilla.org/docs/",
        }
        return Reply(HTTP.get(code, 400), json=error)


class BugzillaServer(FakeServer):
    """One product.

    Attributes:
        version: Decides how the key is taken, whether bugs have a type, and which calls there are.
        rewritten: Whether the API is at /rest; it is at /rest.cgi always.
        aliases: Whether bugs have aliases; where not they are ignored in silence.
        editbugs: Whether the key's user may set everything; where not it is dropped in silence.
        hidden: Numbers of bugs that the key's user cannot see.
        values: What the lists hold.
        fields: Custom fields by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.version = "5.0.6"
        self.rewritten = True
        self.aliases = True
        self.editbugs = True
        self.enterable = True
        self.hidden: set[int] = set()
        self.active = True
        self.values: dict[str, list[str]] = {
            "bug_severity": ["blocker", "critical", "major", "normal", "minor", "trivial", "enhancement"],
            "priority": ["Highest", "High", "Normal", "Low", "Lowest", "---"],
            "op_sys": ["All", "Windows", "Mac OS", "Linux", "Other"],
            "rep_platform": ["All", "PC", "Macintosh", "Other"],
        }
        self.keywords = ["crowd", "regression"]
        self.fields: dict[str, dict[str, Any]] = {"cf_browser": {"display_name": "Browser"}}
        self.parameters: dict[str, str] = {"maxattachmentsize": "10240", "maxlocalattachment": "0"}
        self.bugs: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[str]] = {}
        self.files: dict[int, list[dict[str, Any]]] = {}

    @property
    def address(self) -> str:
        """What people would write into the configuration."""
        return f"{self.url}{PREFIX}"

    @property
    def stock(self) -> bool:
        return self.version.startswith("5.")

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path in {f"{PREFIX}/rest/bug", f"{PREFIX}/rest.cgi/bug"}

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for texts in self.comments.values() if (found := MARKER.search(texts[0]))]

    def close_bug(self, number: int) -> None:
        """Let a person resolve a bug."""
        with self.lock:
            self.bugs[number] |= {"status": "RESOLVED", "resolution": "FIXED"}

    def respond(self, request: Request) -> Reply:
        root, _, path = request.path.removeprefix(f"{PREFIX}/").partition("/")
        if root not in {"rest", "rest.cgi"} or (root == "rest" and not self.rewritten):
            return Reply(404, body=b"<html>404 Not Found</html>", headers={"Content-Type": "text/html"})
        assert request.headers["accept"] == "application/json", "anything else is answered with a page"
        try:
            return self._answer(request, path.split("/"))
        except Refusal as refusal:
            return refusal.reply()

    def _answer(self, request: Request, path: list[str]) -> Reply:
        if path == ["version"]:
            return Reply(json={"version": self.version})
        signed_in = self._signed_in(request)
        match request.method, path:
            case "GET", ["parameters"] if self.stock:
                return Reply(json={"parameters": self.parameters if signed_in else {"maintainer": "a@b.example"}})
            case "GET", ["whoami"] if not self.stock:
                if not signed_in:
                    raise Refusal("no_key", "You must log in before using this part of Bugzilla.")
                return Reply(json={"id": 30, "name": "bridge@acme.example", "real_name": "bridge"})
            case _, ["bug", *_] | [("product" | "user"), *_] if not signed_in:
                raise Refusal("no_key", "You must log in before using this part of Bugzilla.")
            case "POST", ["bug"]:
                return self._create(self._body(request))
            case "GET", ["bug"]:
                return Reply(json={"bugs": self._search(request.query)})
            case _, ["bug", number, *more]:
                return self._bug(request, int(number), more)
        return self._list(request, path)

    def _signed_in(self, request: Request) -> bool:
        """Whether there is a key, where this version takes it; a wrong one is an error of its own."""
        if ".rh" in self.version:
            sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        elif self.version.startswith(("5.0", "5.2")):
            sent = (request.query.get("api_key") or [""])[0]
            assert not (sent and request.method != "GET"), "a key in the address gets into logs"
            sent = sent or (request.json or {}).get("api_key", "")
        else:
            sent = request.headers.get("x-bugzilla-api-key", "")
        if sent and sent != KEY:
            raise Refusal("wrong_key", "The API key you specified is invalid or was revoked.")
        return bool(sent)

    def _body(self, request: Request) -> dict[str, Any]:
        assert request.headers["content-type"] == "application/json"
        return {name: value for name, value in request.json.items() if name != "api_key"}

    def _create(self, asked: dict[str, Any]) -> Reply:
        self._known(asked, NEW)
        for name in ("product", "component", "version", "summary", "op_sys", "platform"):
            if not asked.get(name):
                raise Refusal("required", f"You must select/enter a {name}.")
        if asked["product"] != "Webshop" or not self.enterable:
            raise Refusal(
                "product", f"Either the product '{asked['product']}' does not exist or you don't have access"
            )
        if asked["component"] not in {"Checkout", "Search"}:
            raise Refusal(
                "no_value", f"There is no component named '{asked['component']}' in the 'Webshop' product."
            )
        number = len(self.bugs) + 1
        alias = self._alias(asked)
        kept = {n: v for n, v in asked.items() if self.editbugs or n not in NEEDS_EDITBUGS}
        self.comments[number] = [asked.get("description", "")]
        self.bugs[number] = {"status": "CONFIRMED", "resolution": "", **kept, "id": number, "alias": alias}
        return Reply(json={"id": number})

    def _alias(self, asked: Mapping[str, Any]) -> Any:
        alias = asked.get("alias") if self.aliases else None
        if alias:
            assert isinstance(alias, str), "harmony takes no array"
            if len(alias) > 40 or re.search(r"[\s,]", alias) or alias.isdigit():
                raise Refusal("alias", f"'{alias}' is no valid alias")
            for number, bug in self.bugs.items():
                if alias in (bug["alias"] or []):
                    raise Refusal("alias", f"Bug {number} has already taken the alias {alias}.")
        return [alias] if alias and self.stock else alias

    def _known(self, asked: Mapping[str, Any], native: frozenset[str]) -> None:
        """Refuse what a Bugzilla refuses: keys, values, lengths."""
        known = native | self.fields.keys() | (set() if self.stock else {"type"})
        for name in asked.keys() - known:
            raise Refusal("unknown_key", f"Can't use {name} as a field name.")
        lists = {
            "severity": "bug_severity",
            "priority": "priority",
            "op_sys": "op_sys",
            "platform": "rep_platform",
        }
        for name, of in lists.items():
            if name in asked and asked[name] not in self.values[of]:
                raise Refusal("no_value", f"There is no {name} named '{asked[name]}'.")
        keywords = asked.get("keywords", [])
        for keyword in keywords["add"] if isinstance(keywords, dict) else keywords:
            if keyword not in self.keywords:
                raise Refusal("no_value", f"There is no keyword named '{keyword}'.")
        if len(asked.get("summary", "")) > 255:
            raise Refusal("summary", "The text you entered in the Summary field is too long (256 characters)")
        if len(asked.get("description", "")) > 65_535:
            raise Refusal("comment", "Comments cannot be longer than 65535 characters.")

    def _search(self, query: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        """An alias is compared exactly; a whiteboard holds the text somewhere."""
        found = [bug for number, bug in self.bugs.items() if number not in self.hidden]
        if "alias" in query:
            found = [bug for bug in found if query["alias"][0] in _listed(bug["alias"])]
        if "whiteboard" in query:
            found = [bug for bug in found if query["whiteboard"][0] in bug.get("whiteboard", "")]
        return [_only(self._shown(bug), query) for bug in found]

    def _shown(self, bug: dict[str, Any]) -> dict[str, Any]:
        empty: dict[str, Any] = {
            "keywords": [],
            "blocks": [],
            "assigned_to": "nobody@acme.example",
            "whiteboard": "",
        }
        return empty | bug | {"is_open": bug["status"] != "RESOLVED"}

    def _bug(self, request: Request, number: int, more: list[str]) -> Reply:
        if number not in self.bugs or number in self.hidden:
            raise Refusal("no_bug", f"Bug #{number} does not exist.")
        bug = self.bugs[number]
        match request.method, more:
            case "GET", []:
                return Reply(json={"bugs": [_only(self._shown(bug), request.query)], "faults": []})
            case "PUT", []:
                return self._change(bug, self._body(request))
            case "POST", ["comment"]:
                text = self._body(request)["comment"]
                assert isinstance(text, str), "an object is stored as HASH(0x...)"
                self.comments[number].append(text)
                return Reply(201, json={"id": 20 + len(self.comments[number])})
            case "GET", ["attachment"]:
                files = [_only(file, request.query) for file in self.files.get(number, [])]
                return Reply(json={"bugs": {str(number): files}, "attachments": {}})
            case "POST", ["attachment"]:
                return self._attach(number, self._body(request))
        raise Refusal("no_method", "There is no API resource for this path.")

    def _change(self, bug: dict[str, Any], asked: dict[str, Any]) -> Reply:
        self._known(asked, CHANGED)
        if comment := asked.pop("comment", None):
            self.comments[bug["id"]].append(comment["body"])
        for name in ("keywords", "blocks"):
            if name in asked:
                bug[name] = [*bug.get(name, []), *asked.pop(name)["add"]]
        bug |= asked
        return Reply(json={"bugs": [{"id": bug["id"], "alias": _listed(bug["alias"]), "changes": {}}]})

    def _attach(self, number: int, asked: dict[str, Any]) -> Reply:
        assert asked["ids"] == [number]
        assert asked["summary"], "code 604"
        assert re.fullmatch(r"\w+/[\w.+-]+", asked["content_type"]), "code 601"
        content = base64.b64decode(asked["data"])
        if not content:
            return Reply(400, json={"error": True, "code": 606, "message": "The file you are attaching is empty."})
        if len(content) > int(self.parameters["maxattachmentsize"]) * 1024:
            return Reply(
                400, json={"error": True, "code": 600, "message": "The file you are attaching is too large."}
            )
        self.files.setdefault(number, []).append({"file_name": asked["file_name"], "size": len(content)})
        return Reply(201, json={"ids": [len(self.files[number])]})

    def _list(self, request: Request, path: list[str]) -> Reply:
        lists: dict[str, Callable[[], Any]] = {
            "product": lambda: {"products": self._products(request.query)},
            "user": lambda: {"users": _matching(request.query["match"][0])},
            "field/bug": lambda: {"fields": [_only(field, request.query) for field in self._described()]},
            "field/bug/keywords": lambda: {
                "fields": [{"name": "keywords", "values": [{"name": name} for name in self.keywords]}]
            },
        }
        name = "/".join(path)
        if name.removesuffix("/values") in (known := {f"field/bug/{each}": each for each in self.values}):
            return Reply(json={"values": self.values[known[name.removesuffix("/values")]]})
        if request.method != "GET" or name not in lists:
            raise Refusal("no_method", "There is no API resource for this path.")
        return Reply(json=lists[name]())

    def _products(self, query: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        """One that does not exist, or is not for the user, is just not among the answers."""
        whole = {
            "id": 1, "name": "Webshop", "is_active": self.active,
            "components": [
                {"name": "Checkout", "is_active": True}, {"name": "Search", "is_active": True},
                {"name": "Fax", "is_active": False},
            ],
            "versions": [{"name": "unspecified", "is_active": True}, {"name": "2.0", "is_active": True}],
        }  # fmt: skip
        if query.get("type") == ["enterable"]:
            return [_only(whole, query)] if self.enterable and self.active else []
        return [_only(whole, query)] if query.get("names") == ["Webshop"] else []

    def _described(self) -> list[dict[str, Any]]:
        native = {"name": "short_desc", "display_name": "Summary", "is_custom": False, "is_mandatory": True}
        more = {"is_custom": True, "is_mandatory": False, "is_on_bug_entry": True}
        return [native, *({"name": name} | more | field for name, field in self.fields.items())]


def _only(item: dict[str, Any], query: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return what `include_fields` asks for."""
    names = query["include_fields"][0].split(",")
    return {name: value for name, value in item.items() if name in names}


def _listed(alias: Any) -> list[str]:
    return alias if isinstance(alias, list) else [alias] if alias else []


def _matching(text: str) -> list[dict[str, str]]:
    """Return the users with `text` in the login name or the real one."""
    people = {"alice@acme.example": "Alice Able", "malice@acme.example": "Malice", "bob@acme.example": ""}
    return [
        {"name": login, "real_name": name}
        for login, name in people.items()
        if text.casefold() in login + name.casefold()
    ]
