"""test IO's REST form of a bug to the form in which it is exported. Pure.

The two differ: https://guides.test.io/docs/api/bugs and https://guides.test.io/docs/api/connections. What only the
REST form has (section, feature, product, all devices, comments, ...) stays under its own name.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bridge.model import Json
from bridge.payload import BUG_EXPORTED

_RENAMED = frozenset({"steps", "author", "attachments", "exported_at"})


def as_export(bug: Mapping[str, Json], *, product_id: int | None = None, link: str = "") -> dict[str, Json]:
    """Return the document that test IO would have posted for a bug.

    Args:
        bug: The bug in REST form, as loosely as it comes.
        product_id: Its product, where the list that it stood in was of one product; the bug may not say.
        link: Its page; the REST form has none.
    """
    document: dict[str, Json] = {"event": BUG_EXPORTED}
    if bug.get("exported_at"):
        document["exported_at"] = bug["exported_at"]
    return {**document, "bug": _bug(bug, product_id, link)}


def enriched(document: Mapping[str, Json], bug: Mapping[str, Json]) -> dict[str, Json]:
    """Return a posted document with what the REST form of its bug says in addition. What was posted stays.

    Args:
        document: As it was posted.
        bug: The same bug in REST form.
    """
    posted = {name: value for name, value in document["bug"].items() if value not in (None, "", [], {})}
    return {**document, "bug": {**_bug(bug, None, ""), **posted}}


def link_for(api_url: str, bug_id: int) -> str:
    """Return the page of a bug, as the documented payload shows it: https://app.test.io/bugs/12345."""
    parts = urlsplit(api_url)
    host = parts.netloc.replace("api.", "app.", 1) if parts.netloc.startswith("api.") else parts.netloc
    return urlunsplit((parts.scheme, host, f"/bugs/{bug_id}", "", ""))


def _bug(bug: Mapping[str, Json], product_id: int | None, link: str) -> dict[str, Json]:
    rest = {name: value for name, value in bug.items() if name not in _RENAMED}
    known = {
        "description": bug.get("description") or _description(bug),
        "steps_to_reproduce": bug.get("steps"),
        "attachments": [_attachment(each) for each in _list(bug.get("attachments"))],
        "device": _device(_first(bug.get("devices"))),
        "reporter": {"name": _name(bug.get("author"))},
        "product_id": _number(bug.get("product")) or product_id,
        "test_cycle_id": _number(bug.get("test")),
        "link": bug.get("link") or link,
    }
    return rest | {name: value for name, value in known.items() if value not in (None, "", [])}


def _description(bug: Mapping[str, Json]) -> str:
    """Return what stands for the description, which the REST form does not have: where it was seen."""
    feature = bug.get("feature") or bug.get("test_feature") or bug.get("app_section")
    parts = (
        ("Feature", feature.get("title") if isinstance(feature, dict) else ""),
        ("Location", bug.get("location")),
    )
    return "\n\n".join(f"{name}: {value}" for name, value in parts if isinstance(value, str) and value.strip())


def _attachment(attachment: Json) -> Json:
    if not isinstance(attachment, dict) or not isinstance(attachment.get("url"), str):
        return attachment
    guessed = mimetypes.guess_type(urlsplit(attachment["url"]).path)[0] or ""
    return {"url": attachment["url"], "type": attachment.get("type") or guessed}


def _device(device: Json) -> dict[str, str] | None:
    if not isinstance(device, dict):
        return None
    parts = {
        "device_type": _name(device.get("category")),
        "os": _name(device.get("operating_system")),
        "os_version": _name(device.get("operating_system_version")),
        "browser": _name(_first(device.get("browsers"))),
    }
    return {name: value for name, value in parts.items() if value} or None


def _name(part: Json) -> str:
    found = part.get("name") if isinstance(part, dict) else part
    return found if isinstance(found, str) else ""


def _number(part: Json) -> int | None:
    found = part.get("id") if isinstance(part, dict) else None
    return found if isinstance(found, int) else None


def _list(value: Json) -> list[Any]:
    return value if isinstance(value, list) else []


def _first(value: Json) -> Json:
    return next(iter(_list(value)), None)
