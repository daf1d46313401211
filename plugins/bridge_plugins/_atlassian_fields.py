"""From a draft to Jira's JSON: pure functions, shared by Jira Cloud and Jira Server.

Jira refuses a create as a whole when one field is not on the create screen or has a value in the wrong shape, so
both come from the screen's own description (`createmeta`):
https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-createmeta-projectidorkey-issuetypes-issuetypeid-get
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bridge import Draft, Json, Markup, Rejected
from bridge.mapping import quote, render

PROPERTY = "testio.bug"
"""The entity property that holds test IO's ids and the marker's UUID; people do not see it."""

_LABEL_LIMIT = 255
_NAMED = {"priority", "resolution", "version", "component", "group", "issuetype", "securitylevel"}
_EPIC_LINK = "com.pyxis.greenhopper.jira:gh-epic-link"
_SPRINT = ":gh-sprint"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the two Jiras differ in values.

    Attributes:
        markup: What fields with rich text hold.
        person: The key under which a user is named: `accountId` or `name`.
    """

    markup: Markup
    person: Literal["accountId", "name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a create screen.

    Attributes:
        kind: `schema.type`; `items` is the type of an array's items, `custom` the kind of a custom field.
        allowed: The names of the values that can be chosen; empty where anything goes.
        children: For a cascading field, what can be chosen below each value.
    """

    id: str
    name: str
    required: bool = False
    has_default: bool = False
    kind: str = "any"
    items: str = ""
    custom: str = ""
    allowed: tuple[str, ...] = ()
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_rich_text(self) -> bool:
        """Whether the field holds text in Jira's markup."""
        return self.custom.endswith(":textarea") or self.id in {"description", "environment"}

    @property
    def is_person(self) -> bool:
        """Whether the field holds one or more users."""
        return "user" in {self.kind, self.items}

    def __str__(self) -> str:
        return f"{self.name} ({self.id})" if self.id.startswith("customfield_") else self.name

    @classmethod
    def read(cls, data: Mapping[str, Json]) -> Field:
        """Return the field that an entry of `createmeta` describes."""
        schema, allowed = data.get("schema") or {}, data.get("allowedValues") or ()
        return cls(
            id=str(data.get("fieldId") or data.get("key")),
            name=str(data.get("name")),
            required=bool(data.get("required")),
            has_default=bool(data.get("hasDefaultValue")),
            kind=str(schema.get("type") or "any"),
            items=str(schema.get("items") or ""),
            custom=str(schema.get("custom") or ""),
            allowed=tuple(_name_of(value) for value in allowed),
            children={
                _name_of(value): tuple(map(_name_of, value["children"]))
                for value in allowed
                if isinstance(value, dict) and value.get("children")
            },
        )


def _name_of(value: Json) -> str:
    if isinstance(value, dict):
        return str(value.get("value") or value.get("name") or value.get("key") or value.get("id") or "")
    return str(value)


@dataclass(frozen=True, slots=True)
class Screen:
    """The create screen of one issue type: its fields by id."""

    issue_type: str
    fields: Mapping[str, Field]

    @classmethod
    def of(cls, issue_type: str, fields: Iterable[Field]) -> Screen:
        """Return the screen that has `fields`."""
        return cls(issue_type, {one.id: one for one in fields})

    def find(self, name: str) -> Field | None:
        """Return the field with this id or, as people see it, this name; upper and lower case are the same.

        Raises:
            Rejected: Several fields have the name.
        """
        if name in self.fields:
            return self.fields[name]
        hits = [one for one in self.fields.values() if one.name == name]
        hits = hits or [one for one in self.fields.values() if one.name.casefold() == name.casefold()]
        if len(hits) > 1:
            ids = ", ".join(one.id for one in hits)
            raise Rejected(f'there are {len(hits)} fields "{name}": name the one you mean by its id ({ids})')
        return hits[0] if hits else None

    def resolve(self, name: str) -> Field:
        """Return the field as `find` does; an id that is not on the screen is left to Jira to refuse.

        Raises:
            Rejected: There is no such field; says which one may have been meant.
        """
        found = self.find(name)
        if found is None and name.startswith("customfield_"):
            return Field(id=name, name=name)
        if found is None:
            names = [one.name for one in self.fields.values()]
            where = f"not on the create screen of {self.issue_type}{did_you_mean(name, names)}"
            raise Rejected(f'there is no field "{name}"', fields={name: where})
        return found

    def explain(self, error: Rejected) -> Rejected:
        """Return Jira's refusal with fields under the names people know, and with the values there are."""
        named = {}
        for field_id, words in error.fields.items():
            one = self.fields.get(field_id)
            hint = f" [one of: {', '.join(one.allowed[:20])}]" if one and one.allowed else ""
            named[str(one or field_id)] = words + hint
        return Rejected(error.message, status=error.status, fields=named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Everything besides the draft that decides what is sent.

    Attributes:
        screen: The create screen; None while it is not known (preview): names are then sent as they are.
        people: User ids by what the configuration calls them.
        severity: Name of the field that takes the draft's severity.
    """

    project: str
    dialect: Dialect
    severity: str
    screen: Screen | None = None
    people: Mapping[str, str] = field(default_factory=dict)

    def person(self, who: str) -> Json:
        """Return the reference to a user."""
        return {self.dialect.person: self.people.get(who, who)}

    def custom(self, name: str, value: Json) -> tuple[str, Json]:
        """Return id and value of a field that the configuration calls `name`."""
        if self.screen is None:
            return name, value
        one = self.screen.resolve(name)
        return one.id, shaped(one, value, self)


def create_payload(draft: Draft, form: Form) -> tuple[dict[str, Json], tuple[str, ...]]:
    """Return the body of `POST issue`, and warnings on what could not be sent as it was."""
    fields, warnings = issue_fields(draft, form)
    bug, marker = draft.bug, draft.marker
    known = {
        "id": bug.id,
        "marker": marker.text,
        "uuid": str(marker.uuid),
        "test_cycle_id": bug.test_cycle_id,
        "product_id": bug.product_id,
    }
    payload = {
        "fields": {"project": {"key": form.project}, **fields},
        "properties": [
            {"key": PROPERTY, "value": {key: value for key, value in known.items() if value is not None}}
        ],
    }
    return payload, warnings


def update_payload(draft: Draft, form: Form) -> tuple[dict[str, Json], tuple[str, ...]]:
    """Return the body of `PUT issue`, empty where there is nothing to set, and warnings.

    Labels are added, so that those of people stay; but what the configuration's own `fields` say is set.
    """
    fields, warnings = issue_fields(draft, form)
    payload: dict[str, Json] = {}
    if draft.sets("labels") and "labels" in fields and "labels" not in map(str.casefold, draft.fields):
        payload["update"] = {"labels": [{"add": label} for label in fields.pop("labels")]}
    return ({"fields": fields} if fields else {}) | payload, warnings


def issue_fields(draft: Draft, form: Form) -> tuple[dict[str, Json], tuple[str, ...]]:
    """Return `fields` for the parts that the draft sets, and warnings. The configuration's own `fields` win."""
    labels, warnings = _labels(draft, form)
    issue_type = form.screen.issue_type if form.screen else draft.issue_type
    parent = parent_field(form.screen)
    fields = draft.chosen(
        ("title", "summary", draft.title),
        ("body", "description", draft.body.content),
        ("issue_type", "issuetype", issue_type and {"name": issue_type}),
        ("priority", "priority", draft.priority and {"name": draft.priority}),
        ("assignee", "assignee", draft.assignee and form.person(draft.assignee)),
        ("parent", parent, draft.parent and ({"key": draft.parent} if parent == "parent" else draft.parent)),
        ("labels", "labels", labels),
    )
    if draft.severity and draft.sets("severity"):
        fields |= [form.custom(form.severity, draft.severity)]
    fields |= [form.custom(name, value) for name, value in draft.own_fields.items() if value != ""]
    own = fields.get("labels")
    if own and isinstance(own, list) and draft.marker.text not in own:
        fields["labels"] = [*own, draft.marker.text]
    return {name: value for name, value in fields.items() if value not in ("", [])}, warnings


def _labels(draft: Draft, form: Form) -> tuple[list[str], tuple[str, ...]]:
    """Return the labels as Jira takes them, the marker last, and warnings: a label is one word."""
    if not draft.sets("labels"):
        return [], ()
    if form.screen and "labels" not in form.screen.fields:
        return [], (f"labels were left out: they are not on the create screen of {form.screen.issue_type}",)
    words = {label: re.sub(r"\s+", "-", label.strip())[:_LABEL_LIMIT] for label in draft.labels}
    changed = [
        f'label "{label}" became "{word}": a Jira label has no spaces'
        for label, word in words.items()
        if word != label
    ]
    return list(dict.fromkeys([*filter(None, words.values()), draft.marker.text])), tuple(changed)


def parent_field(screen: Screen | None) -> str:
    """Return the id of the field that puts an issue under another: `parent`, or where there is none Epic Link."""
    on_screen = screen.fields if screen else {}
    epics = [one.id for one in on_screen.values() if one.custom == _EPIC_LINK]
    return epics[0] if epics and "parent" not in on_screen else "parent"


def shaped(one: Field, value: Json, form: Form) -> Json:
    """Return `value` as a person writes it in the shape that the field's type wants.

    Tables (`{ id = "10001" }`) and null are sent as they are, which is the way to say what is not foreseen here.

    Raises:
        Rejected: The value cannot have the type.
    """
    if value is None or isinstance(value, dict):
        return value
    if one.kind == "array" and not one.custom.endswith(_SPRINT):
        return [_item(one, one.items, item, form) for item in listed(value) if item != ""]
    if one.kind == "option-with-child":
        return _cascading(one, value)
    if one.is_rich_text:
        return render(quote(str(value)), form.dialect.markup, text="plain").content
    return _item(one, one.kind, value, form)


def _item(one: Field, kind: str, value: Json, form: Form) -> Json:
    """Return a single value of the type `kind`; types that are not foreseen take it as it is."""
    text = str(value)
    shapes: dict[str, Callable[[], Json]] = {
        "option": lambda: {"value": _exact(text, one.allowed)},
        "user": lambda: form.person(text),
        "project": lambda: {"key": text},
        "issuelink": lambda: {"key": text},
        "number": lambda: _number(one, value),
        **dict.fromkeys(_NAMED, lambda: {"name": _exact(text, one.allowed)}),
        **dict.fromkeys(("string", "date", "datetime"), lambda: text),
    }
    kind = "number" if one.custom.endswith(_SPRINT) else kind
    return shapes[kind]() if kind in shapes and not isinstance(value, dict) else value


def _exact(value: str, allowed: Iterable[str]) -> str:
    """Return `value` in Jira's own spelling where it differs in case only."""
    return next((name for name in allowed if name.casefold() == value.casefold()), value)


def _number(one: Field, value: Json) -> Json:
    if isinstance(value, int | float):
        return value
    try:
        return int(value) if re.fullmatch(r"\s*[+-]?\d+\s*", str(value)) else float(value)
    except ValueError:
        raise Rejected("a value has the wrong type", fields={str(one): f'"{value}" is no number'}) from None


def listed(value: Json) -> list[Json]:
    """Return the values of a list, or the one value that is none."""
    return list(value) if isinstance(value, list | tuple) else [value]


def levels(value: Json) -> list[str]:
    """Return the two levels of `"Europe > Berlin"` or `["Europe", "Berlin"]`; one where only one is given."""
    parts = value if isinstance(value, list | tuple) else str(value).split(">", 1)
    return [name for part in parts if (name := str(part).strip())]


def _cascading(one: Field, value: Json) -> Json:
    names = levels(value)
    if not names:
        return None
    first = _exact(names[0], one.allowed)
    child = {"child": {"value": _exact(names[1], one.children.get(first, ()))}} if len(names) > 1 else {}
    return {"value": first, **child}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "High"?`, or what there is where nothing is near."""
    names = [name for name in known if name]
    lower = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(word.casefold(), lower, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{lower[near[0]]}"?'
    return f"; there are: {', '.join(names[:20])}{', …' if len(names) > 20 else ''}" if names else ""
