"""What Rally's answers mean: a refusal comes with status 200, as `Errors` inside whatever the answer holds.

https://rally1.rallydev.com/slm/doc/webservice/ (needs a login).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bridge import Gone, Json, NotAllowed, Purpose, Rejected, TrackerError, Unavailable, inside

_FIELD = re.compile(r"(?:Could not set value for |Validation error: \w+\.)(\w+)")
_IGNORED = re.compile(r"Ignored JSON element \w+\.(\w+)")


def errors_in(data: Json) -> list[str]:
    """Return the errors of an answer, whatever it is the answer to."""
    parts = data.values() if isinstance(data, dict) else ()
    return [str(error) for part in parts if isinstance(part, dict) for error in _list(part.get("Errors"))]


def fields_in(errors: list[str]) -> dict[str, str]:
    """Return those of the errors that are of a field."""
    return {match[1]: error for error in errors if (match := _FIELD.search(error))}


def refusal(errors: list[str], purpose: Purpose) -> TrackerError:
    """Return what the errors of an answer with status 200 mean; the first decides.

    Args:
        errors: At least one.
        purpose: What the request was for.
    """
    fields = fields_in(errors)
    words = "; ".join(error for error in errors if not _FIELD.search(error)) or "Rally refused it"
    first = errors[0].casefold()
    if first.startswith(("not authorized", "user not authorized")):
        return NotAllowed(words)
    if "Project" in fields:
        return NotAllowed("Rally does not take issues there: correct `project`", fields=fields)
    if first.startswith("concurrency conflict"):  # somebody saved it meanwhile; ours was not
        return Unavailable(words)
    if purpose is Purpose.ISSUE and (first.startswith("cannot find object") or "Artifact" in fields):
        return Gone("; ".join(errors))
    return Rejected(words, fields=fields)


def ignored(result: Mapping[str, Json]) -> list[str]:
    """Return a warning for each value that Rally dropped: it takes an unknown name in silence."""
    names = [match[1] for text in _list(result.get("Warnings")) if (match := _IGNORED.search(str(text)))]
    return [f"{name} is left out: Rally has no such field, or it cannot be set" for name in names]


def made(data: Json) -> str:
    """Return the reference of what was made, which is no issue.

    Raises:
        Unavailable: It is not there.
    """
    return reference(str(inside(data, "CreateResult", "Object", "_ref")))


def reference(address: str) -> str:
    """Return a reference as Rally takes it anywhere: `/defect/123`."""
    return "/" + "/".join(address.rstrip("/").split("/")[-2:])


def number(address: str) -> str:
    """Return the id in a reference."""
    return address.rstrip("/").rpartition("/")[2]


def condition(field: str, value: str, operator: str = "=") -> str:
    """Return a comparison for a query. Rally has no way to quote a quotation mark, so it is left out."""
    return f'({field} {operator} "{value.replace(chr(34), "")}")'


def both(first: str, word: str, second: str) -> str:
    """Return two conditions joined by AND or OR, which Rally takes in pairs only."""
    return f"({first} {word} {second})"


def _list(value: Json) -> Iterable[Json]:
    return value if isinstance(value, list) else ()
