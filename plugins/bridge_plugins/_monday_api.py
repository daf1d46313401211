"""What is said to monday.com, and what its refusals mean.

https://developer.monday.com/api-reference/docs/error-handling (and `rate-limits` beside it). The errors of an
application come with status 200; versions before 2025-01 put `error_code` and `error_message` beside `data`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

from bridge import (
    Answer,
    Gone,
    InDoubt,
    Json,
    NotAllowed,
    Purpose,
    RateLimited,
    Rejected,
    TrackerError,
    Unavailable,
)
from bridge.answers import retry_after

CHECK = """query Check($ids: [ID!]) {
  me { id name email account { slug } }
  boards(ids: $ids) { id name state access_level }
  version { kind value }
}"""
BOARDS = "query Boards($page: Int) { boards(limit: 100, page: $page) { id name } }"
COLUMNS = "query Columns($ids: [ID!]) { boards(ids: $ids) { columns { id title type archived settings } } }"
GROUPS = "query Groups($ids: [ID!]) { boards(ids: $ids) { groups { id title archived deleted } } }"
USERS = "query Users($page: Int) { users(limit: 1000, page: $page) { id name email } }"

CREATE = """mutation CreateItem($boardId: ID!, $groupId: String, $name: String!, $values: JSON, $make: Boolean) {
  create_item(
    board_id: $boardId, group_id: $groupId, item_name: $name
    column_values: $values, create_labels_if_missing: $make
  ) { id url }
}"""
DESCRIBE = """mutation SetDescription($itemId: ID!, $markdown: String!) {
  set_item_description_content(item_id: $itemId, markdown: $markdown) { success error }
}"""
FIND = """query FindItem($boardId: ID!, $columnId: String!, $ids: [String!], $value: String!) {
  items_page_by_column_values(
    board_id: $boardId, limit: 100, columns: [{ column_id: $columnId, column_values: [$value] }]
  ) { items { id url column_values(ids: $ids) { __typename text } } }
}"""
VALUES = """query ItemValues($ids: [ID!], $columns: [String!]) {
  items(ids: $ids, limit: 1) {
    id state
    column_values(ids: $columns) {
      __typename text
      ... on StatusValue { is_done }
      ... on DropdownValue { values { label } }
      ... on TagsValue { tags { name } }
    }
  }
}"""
FILES = """query ItemFiles($ids: [ID!]) {
  items(ids: $ids, limit: 1) {
    id state assets(assets_source: all) { name file_size } updates(limit: 100) { id text_body }
  }
}"""
CHANGE = """mutation ChangeValues($boardId: ID!, $itemId: ID!, $values: JSON!, $make: Boolean) {
  change_multiple_column_values(
    board_id: $boardId, item_id: $itemId, column_values: $values, create_labels_if_missing: $make
  ) { id }
}"""
MOVE = """mutation MoveItem($itemId: ID!, $groupId: String!) {
  move_item_to_group(item_id: $itemId, group_id: $groupId) { id }
}"""
WRITE = "mutation AddUpdate($itemId: ID!, $body: String!) { create_update(item_id: $itemId, body: $body) { id } }"
REWRITE = "mutation EditUpdate($id: ID!, $body: String!) { edit_update(id: $id, body: $body) { id } }"
TAG = """mutation MakeTag($name: String!, $boardId: ID) {
  create_or_get_tag(tag_name: $name, board_id: $boardId) { id }
}"""
FILE_OF_COLUMN = """mutation AddFile($itemId: ID!, $columnId: String!, $file: File!) {
  add_file_to_column(item_id: $itemId, column_id: $columnId, file: $file) { id }
}"""
FILE_OF_UPDATE = """mutation AddFileToUpdate($updateId: ID!, $file: File!) {
  add_file_to_update(update_id: $updateId, file: $file) { id }
}"""

_LIMITED = re.compile(r".*(complexity|concurrency|(field|rate|daily)_limit)|rate limit exceeded", re.IGNORECASE)
_NOT_ALLOWED = re.compile(r".*(unauthorized|permission)|not authenticated|user unauthorized", re.IGNORECASE)
_PASSING = re.compile(r"internal_?server_?error", re.IGNORECASE)
_SHOWN = 200  # characters of one detail of an error


def errors_in(data: Json) -> list[dict[str, Json]]:
    """Return the errors in an answer, also in the form of old versions, each with `message` and `extensions`."""
    if not isinstance(data, dict):
        return []
    errors = data.get("errors")
    if not isinstance(errors, list):
        code, words = data.get("error_code"), data.get("error_message")
        more = {"code": code, "status_code": data.get("status_code"), "error_data": data.get("error_data")}
        errors = [{"message": words, "extensions": more}] if code or words else []
    return [error if isinstance(error, dict) else {"message": str(error)} for error in errors]


def words_of(errors: list[dict[str, Json]]) -> str:
    """Return what errors say to a person."""
    told = (str(error.get("message") or (error.get("extensions") or {}).get("code") or "") for error in errors)
    return "; ".join(dict.fromkeys(text for text in told if text)) or "monday.com refused it and did not say why"


def refusal(errors: list[dict[str, Json]], answer: Answer, purpose: Purpose, now: datetime) -> TrackerError:
    """Return what the errors of an answer mean; the first decides.

    Args:
        errors: As `errors_in` returns them, at least one.
        answer: Status and headers.
        purpose: What the request was for.
        now: The present moment in UTC.
    """
    words, more = words_of(errors), errors[0].get("extensions") or {}
    code = str(more.get("code") or "")
    status = answer.status if answer.status >= 300 else _number(more.get("status_code"))
    shown = status if status >= 300 else None
    if status == 429 or _says(_LIMITED, code, words):
        return RateLimited(words, status=shown, retry_after=wait(code, more, answer.headers, now))
    if code == "InvalidBoardIdException":
        return NotAllowed(f"{words}: correct `board`, or let the token's user in", status=shown)
    if status in {401, 403} or _says(_NOT_ALLOWED, code, words):
        return NotAllowed(words, status=shown)
    kind: type[TrackerError] = Rejected
    if purpose is Purpose.ISSUE and _is_gone(code, words):
        kind = Gone
    elif status == 423 or "currently locked" in words:  # the board is: nothing was made
        kind = Unavailable
    elif status == 408 or status >= 500 or _PASSING.match(code):
        kind = InDoubt if purpose is Purpose.CREATE else Unavailable
    return kind(words, status=shown, fields=_details(more.get("error_data")))


def wait(code: str, more: Mapping[str, Json], headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how long a limit lasts: as the answer says; the limit of calls in a day until midnight in UTC.

    Args:
        code: The error's code.
        more: Its details.
        headers: Names in lower case.
        now: The present moment in UTC.
    """
    if (told := retry_after(headers, now)) is not None:
        return told
    if "DAILY" in code.upper():
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
        return midnight - now
    seconds = _number(more.get("retry_in_seconds"))
    return timedelta(seconds=min(seconds, 86400)) if seconds > 0 else None


def _says(pattern: re.Pattern[str], code: str, words: str) -> bool:
    """Whether an error is of this sort. Its words count only where it has no code: they may repeat a tester's."""
    return bool(pattern.match(code or words))


def _is_gone(code: str, words: str) -> bool:
    """Whether the item is not there; other things may be missing too, and then no new item is wanted."""
    missing = code in {"ResourceNotFoundException", "ResourceNotFound"}
    return code == "InvalidItemIdException" or (
        missing and bool(re.search(r"\b(item|pulse)", words, re.IGNORECASE))
    )


def _number(value: Json) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def _details(data: Any) -> dict[str, str]:
    """Return what monday.com says about the column that it refused."""
    known = data.items() if isinstance(data, dict) else ()
    return {str(name): str(value)[:_SHOWN] for name, value in known if value not in (None, "", {}, [])}
