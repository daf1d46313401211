"""Trello as far as the bridge talks to it: one board with lists, labels, members and custom fields; its cards."""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

KEY = "key-of-an-application"
TOKEN = "ATTAsecretsecretsecret"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
START = 1_767_603_600  # 5 January 2026, 9:00
LIMIT = 16_384

BOARD, INBOX, DOING, DONE = (f"63e216459be4ce6421f598{number}" for number in (10, 85, 86, 87))
ALICE = "5bc79d4206526d2279c1e6eb"
TYPES = {"Bug": "text", "Cost": "number", "Urgent": "checkbox", "Seen": "date", "Priority": "list"}

PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
NOT_FOUND = Reply(404, body=b"The requested resource was not found.", headers=PLAIN)


SEVERAL = {"type": "string", "pattern": "^[0-9a-f]{24}(,[0-9a-f]{24})*$"}
ID = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
VALUE = {"type": "object", "propertyNames": {"enum": ["text", "number", "checked", "date"]}}
ITEM = {
    "oneOf": [
        {"properties": {"idValue": ID}, "required": ["idValue"], "additionalProperties": False},
        {"properties": {"value": VALUE}, "required": ["value"], "additionalProperties": False},
    ]
}


@cache
def described() -> Description | None:
    """Return Atlassian's description: what it has in the query may come as JSON, as the bridge sends it."""
    loaded = Description.load("trello.json")
    if loaded is None:
        return None
    document: dict[str, Any] = copy.deepcopy(dict(loaded.document))
    for item in document["paths"].values():
        for method in {"post", "put"} & item.keys():
            as_json(item[method])
    mend(document["paths"], document["components"]["schemas"])
    return Description(document, "/1")


def as_json(operation: dict[str, Any]) -> None:
    """Take an operation's parameters out of the query, into a body that knows no others."""
    query = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
    if not query:
        return
    operation["parameters"] = [each for each in operation["parameters"] if each["in"] != "query"]
    required = [each["name"] for each in query if each.get("required")]
    schema: dict[str, Any] = {"type": "object", "properties": {each["name"]: each["schema"] for each in query}}
    schema |= {"additionalProperties": False, **({"required": required} if required else {})}
    kinds = ("application/json", "multipart/form-data")
    operation["requestBody"] = {"content": {kind: {"schema": schema} for kind in kinds}}


def mend(paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Correct what Trello's guides and live answers contradict."""
    update = paths["/cards/{id}"]["put"]["requestBody"]["content"]["application/json"]["schema"]
    update["properties"] |= {"idLabels": SEVERAL, "idMembers": SEVERAL}  # separated by commas
    uploaded = paths["/cards/{id}/attachments"]["post"]["responses"]["200"]["content"]["application/json"]
    uploaded["schema"] = {"$ref": "#/components/schemas/Attachment"}  # one, no list
    cards = paths["/boards/{id}/cards/{filter}"]["get"]["parameters"]
    cards += [{"name": name, "in": "query", "schema": {}} for name in ("fields", "limit", "since", "before")]
    field = paths["/cards/{idCard}/customField/{idCustomField}/item"]["put"]["requestBody"]
    field["content"]["application/json"]["schema"] = ITEM  # any object fits both shapes there
    schemas |= {"MemberFields": {"type": "string"}, "BoardFields": {"type": "string"}}  # several, not one
    schemas["Board"]["properties"]["memberships"] = {"type": "array", "items": {"type": "object"}}
    schemas["Card"]["properties"]["labels"] = {"type": "array", "items": {"$ref": "#/components/schemas/Label"}}


class TrelloServer(FakeServer):
    """One board.

    Attributes:
        cards: By id, with their lists of `attachments`, `comments` and values of `custom` fields.
        boards: Names and short links of the open boards of the token's member; the first is the one there is.
        member_type: What the member may do on it.
        page: The most cards in one answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.boards = [("Webshop", "aB3xYz12"), ("Marketing", "cD4xYz34")]
        self.lists = {"Inbox": INBOX, "Doing": DOING, "Done": DONE}
        self.labels = {"Bug": "63e1096da4ecf28dcb763bb0"}
        self.people = {"alice": ALICE}
        self.member_type = "normal"
        self.page = 1000
        self.cards: dict[str, dict[str, Any]] = {}
        self._described = described()

    def is_create(self, request: Request) -> bool:
        return (request.method, request.path) == ("POST", "/1/cards")

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for each in self.cards.values() if (found := MARKER.search(each["desc"]))]

    def validate(self, request: Request, reply: Reply) -> None:
        if self._described:
            problems = self._described.check(request, reply)
            assert not problems, problems

    def respond(self, request: Request) -> Reply:
        expected = f'OAuth oauth_consumer_key="{KEY}", oauth_token="{TOKEN}"'
        if request.headers.get("authorization") != expected:
            return Reply(401, body=b"invalid key", headers=PLAIN)
        match request.method, request.path.removeprefix("/1/").split("/"):
            case "GET", ["members", "me"]:
                return Reply(json={"id": ALICE, "username": "alice"})
            case "GET", ["members", "me", "boards"]:
                return Reply(json=[self._board(number) for number in range(len(self.boards))])
            case "GET", ["boards", board, *rest] if board == BOARD:
                return self._of_board(request, rest)
            case "POST", ["labels"]:
                self.labels[request.json["name"]] = id_ = f"{len(self.labels):024x}"
                return Reply(json={**request.json, "id": id_})
            case "POST", ["cards"]:
                return self._create(request.json)
            case method, ["cards", card, *rest] if card in self.cards:
                return self._of_card(method, self.cards[card], rest, request)
        return NOT_FOUND

    def _board(self, number: int) -> dict[str, Any]:
        name, short = self.boards[number]
        id_ = BOARD if number == 0 else f"63e216459be4ce6421f5990{number}"
        return {"id": id_, "name": name, "shortUrl": f"https://trello.com/b/{short}"}

    def _of_board(self, request: Request, rest: list[str]) -> Reply:
        match rest:
            case []:
                mine = {"memberships": [{"idMember": ALICE, "memberType": self.member_type}]}
                return Reply(json={"id": BOARD, "name": self.boards[0][0], **mine})
            case ["lists"]:
                return Reply(json=[{"id": id_, "name": name} for name, id_ in self.lists.items()])
            case ["labels"]:
                return Reply(json=[{"id": id_, "name": name} for name, id_ in self.labels.items()])
            case ["members"]:
                people = self.people.items()
                return Reply(
                    json=[{"id": id_, "username": name, "fullName": name.title()} for name, id_ in people]
                )
            case ["customFields"]:
                return Reply(json=[self._custom(number) for number in range(len(TYPES))])
            case ["cards", "all"]:
                return Reply(json=self._newest(request))
        return NOT_FOUND

    def _custom(self, number: int) -> dict[str, Any]:
        name, kind = list(TYPES.items())[number]
        options = [{"id": f"{7:024x}", "value": {"text": "High"}}, {"id": f"{8:024x}", "value": {"text": "Low"}}]
        field = {"id": f"{number + 100:024x}", "modelType": "board", "name": name, "type": kind}
        return field | ({"options": options} if kind == "list" else {})

    def _newest(self, request: Request) -> list[dict[str, Any]]:
        since, before = request.query["since"][0], request.query.get("before", ["g"])[0]
        found = [each for id_, each in self.cards.items() if since <= id_ < before]
        shown = {"id", *request.query["fields"][0].split(",")}
        newest = sorted(found, key=lambda each: each["id"], reverse=True)[: self.page]
        return [{name: value for name, value in each.items() if name in shown} for each in newest]

    def _create(self, asked: dict[str, Any]) -> Reply:
        if asked["idList"] not in self.lists.values():
            return Reply(400, body=b"invalid value for idList", headers=PLAIN)
        number = len(self.cards) + 1
        id_, short = f"{START + number:08x}{number:016x}", f"Yd9Sco{number:02}"
        made = {
            "id": id_, "idShort": number, "shortLink": short, "shortUrl": f"https://trello.com/c/{short}",
            "idBoard": BOARD, "closed": False, "dueComplete": False, "desc": "", "idLabels": [], "idMembers": [],
        }  # fmt: skip
        problem = self._set(made, asked)
        if problem is None:
            self.cards[id_] = made | {"attachments": [], "comments": [], "custom": {}}
        return problem or Reply(json=made)

    def _set(self, card: dict[str, Any], asked: dict[str, Any]) -> Reply | None:
        for name in ("name", "desc"):
            if len(asked.get(name, "")) > LIMIT:
                return Reply(400, body=f"invalid value for {name}".encode(), headers=PLAIN)
        lists = {name: asked[name] for name in ("idLabels", "idMembers") if name in asked}
        split = {name: each.split(",") if isinstance(each, str) else each for name, each in lists.items()}
        known = {*self.labels.values(), *self.people.values()}
        if unknown := [name for name, ids in split.items() if not set(ids) <= known]:
            return Reply(400, body=f"invalid value for {unknown[0]}".encode(), headers=PLAIN)
        card |= {name: value for name, value in asked.items() if name not in {"urlSource", "pos"}} | split
        return None

    def _of_card(self, method: str, card: dict[str, Any], rest: list[str], request: Request) -> Reply:
        shown = {name: value for name, value in card.items() if name not in {"attachments", "comments", "custom"}}
        match method, rest:
            case "GET", []:
                labels = [
                    {"id": id_, "name": name} for name, id_ in self.labels.items() if id_ in card["idLabels"]
                ]
                place = next(name for name, id_ in self.lists.items() if id_ == card["idList"])
                return Reply(json={**shown, "labels": labels, "list": {"id": card["idList"], "name": place}})
            case "PUT", []:
                return self._set(card, request.json) or Reply(json=shown)
            case "POST", ["actions", "comments"]:
                card["comments"].append(request.json["text"])
                return Reply(json={"id": f"{900:024x}", "data": {"text": request.json["text"]}})
            case "GET", ["attachments"]:
                return Reply(json=card["attachments"])
            case "POST", ["attachments"]:
                size = str(len(request.files[0].content))
                made = {"id": f"{901:024x}", "name": request.form["name"], "bytes": size, "isUpload": True}
                card["attachments"].append(made)
                return Reply(json=made)
            case "PUT", ["customField", field, "item"]:
                card["custom"][field] = request.json
                return Reply(json={"id": f"{902:024x}"})
        return NOT_FOUND
