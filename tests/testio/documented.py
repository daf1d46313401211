"""The examples of test IO's documentation, literally.

https://guides.test.io/docs/api/connections, https://guides.test.io/docs/api/bugs,
https://guides.test.io/docs/api/products
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CONNECTION: dict[str, Any] = {
    "id": 42,
    "name": "Issue Endpoint",
    "url": "https://issues.example.com/export",
    "fixed": False,
}
CHANGED: dict[str, Any] = {
    "id": 42,
    "name": "Issue Endpoint (Prod)",
    "url": "https://issues.example.com/export",
    "fixed": True,
}
BUG = {
    "id": 123,
    "title": "Summary of the bug",
    "severity": "high",
    "language": "en",
    "location": "https://example.com/page",
    "expected_result": "Expected result",
    "actual_result": "Actual result",
    "steps": "Step to reproduce the bug",
    "known": False,
    "exported_at": None,
}
DECIDED = {"id": 123, "title": "Summary of the bug", "severity": "high"}
PRODUCT = {
    "id": 1,
    "name": "My Product",
    "description": "Description of the product",
    "default_section_id": 2,
    "sections": [],
    "connection": None,
}
PAYLOAD_KEYS = {
    "id", "title", "description", "steps_to_reproduce", "expected_result", "actual_result", "severity", "priority",
    "status", "attachments", "device", "reporter", "test_cycle_id", "product_id", "link",
}  # fmt: skip
REASON = {"key": "known_bug", "name": "Known bug", "default_comment": "Rejected"}


@dataclass(frozen=True)
class Example:
    """A request and its response, as the documentation shows them."""

    method: str
    path: str
    status: int
    response: Any
    body: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


EXAMPLES = {
    "create connection": Example(
        "POST",
        "/connections",
        201,
        {"connection": CONNECTION},
        {
            "name": "Issue Endpoint",
            "url": "https://issues.example.com/export",
            "fixed": False,
            "product_ids": [1, 2],
            "section_ids": [5],
        },
    ),
    "get connection": Example("GET", "/connections/42", 200, {"connection": CONNECTION}),
    "update connection": Example(
        "PUT",
        "/connections/42",
        200,
        {"connection": CHANGED},
        {"name": "Issue Endpoint (Prod)", "url": "https://issues.example.com/export", "fixed": True},
    ),
    "delete connection": Example("DELETE", "/connections/42", 200, {"connection": CHANGED}),
    "list products": Example("GET", "/products", 200, {"products": [PRODUCT]}),
    "get product": Example("GET", "/products/1", 200, {"product": PRODUCT}),
    "fetch bugs": Example("GET", "/bugs?filter_product_ids=1,2&export_status=not_exported", 200, {"bugs": [BUG]}),
    "get bug": Example("GET", "/bugs/123", 200, {"bug": BUG}),
    "search bug": Example("POST", "/bugs", 200, [], {"bug": {"external_idx": "id in the system"}}),
    "reject reasons": Example("GET", "/bugs/reject_reasons", 200, {"reject_reasons": [REASON]}),
    "accept bug": Example("PUT", "/bugs/123/accept", 200, {"bug": DECIDED | {"status": "accepted"}}),
    "mark as known": Example("PUT", "/bugs/123/mark_as_known", 200, {"bug": BUG | {"known": True}}),
    "mark as fixed": Example("PUT", "/bugs/123/mark_as_fixed", 200, {"bug": BUG}),
    "mark as exported": Example("PUT", "/bugs/123/mark_as_exported", 200, {"bug": BUG}),
    "reject bug": Example(
        "PUT",
        "/bugs/123/reject",
        200,
        {"bug": DECIDED | {"status": "rejected"}},
        {"reason": "known_bug", "comment": "This bug is already known and being tracked"},
    ),
}
"""In the order in which the sandbox can be asked them. Where the documentation only says "the updated bug object",
it is the one shown before; of a list whose entries it does not show, the empty one."""
