"""Zendesk's custom ticket fields: found by what people call them, each value in the form that its field takes.

https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_fields/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge import Json
from bridge.doctor import did_you_mean

NATIVE = frozenset(
    {"status", "custom_status_id", "due_at", "organization_id", "assignee_id", "assignee_email", "group_id",
     "brand_id", "ticket_form_id", "requester_id", "submitter_id", "collaborator_ids", "follower_ids", "followers",
     "email_cc_ids", "email_ccs", "problem_id", "type", "priority", "recipient", "sharing_agreement_ids"}
)  # fmt: skip
"""Keys of `fields` that are a ticket's own; every other one names a custom field."""

CUSTOM = frozenset(
    {"text", "textarea", "checkbox", "date", "integer", "decimal", "regexp", "partialcreditcard", "multiselect",
     "tagger", "lookup"}
)  # fmt: skip
"""Types of fields that an account adds; the others are the ticket's own."""

NUMBERS = {"integer": int, "decimal": float}


@dataclass(frozen=True, slots=True)
class TicketField:
    """One custom field.

    Attributes:
        id: Sent as it is; too large for a float.
        options: Of a list: the tag that is sent, by the option's name and by the tag itself, in lower case.
    """

    id: int
    title: str
    kind: str
    options: Mapping[str, str]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> TicketField:
        """Return a field as the API describes it."""
        options = {
            str(option[name]).casefold(): str(option["value"])
            for name in ("name", "value")
            for option in data.get("custom_field_options") or ()
        }
        return cls(data["id"], data["title"], data["type"], options)

    def sent(self, value: Json) -> Json:
        """Return `value` as it is sent: an option as its tag, a number as a number.

        Raises:
            ValueError: The field does not take it; says why. Zendesk would ignore it in silence.
        """
        if self.kind == "multiselect":
            values = value if isinstance(value, list) else str(value).split(",")
            return [self._option(str(each).strip()) for each in values]
        if self.kind == "tagger":
            return self._option(str(value))
        if self.kind == "checkbox":
            return str(value).casefold() in {"true", "yes", "1"}
        if self.kind in NUMBERS:
            try:
                return NUMBERS[self.kind](str(value))
            except ValueError:
                raise ValueError(f'"{self.title}" takes a number, not "{value}"') from None
        return str(value)

    def _option(self, name: str) -> str:
        found = self.options.get(name.casefold())
        if found is None:
            hint = did_you_mean(name, self.options)
            raise ValueError(f'"{self.title}" has no option "{name}"' + (f"; {hint}" if hint else ""))
        return found
