"""What a sandbox can be told: its size, its faults, and what test IO does not document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Paging = Literal["none", "pages", "capped"]
Form = Literal["flat", "wrapped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the sandbox is.

    Attributes:
        host: Where it listens; `port` 0 takes any free one.
        token: The API token that it wants.
        seed: Of everything invented, and of the faults.
        drop: Part of the webhooks (0 to 1) that are never sent; `double` are sent twice, `late` only after
            `late_by` seconds, and `shuffle` held back for up to that time, so that others overtake them.
        retries: How often a webhook that was not answered with 2xx is sent again, first after `retry_wait`
            seconds, then each time after twice as long. test IO says only that it "may" do so.
        allow_http: Whether connections may have a plain HTTP address. Documented is HTTPS.
        answer_marks_exported: Whether a 2xx makes the bug `exported`. Not documented.
        full: Whether bugs have all that test IO's Java client knows, `test_environment` with credentials included.
        password: The staging password in it.
        paging: What `page` does at GET /bugs: nothing, as documented; it pages; or the list is capped at `cap`.
        form: Which body POST and PUT /connections take: flat, as documented, or wrapped, as the Java client does.
        first_connection: Id of the first connection.
    """

    host: str = "127.0.0.1"
    port: int = 8090
    token: str = "sandbox-token"  # noqa: S105 - it guards nothing but inventions
    products: int = 2
    bugs: int = 12
    seed: int = 1
    auto_export: bool = False
    drop: float = 0.0
    double: float = 0.0
    late: float = 0.0
    shuffle: float = 0.0
    late_by: float = 5.0
    retries: int = 5
    retry_wait: float = 1.0
    timeout: float = 10.0
    allow_http: bool = False
    answer_marks_exported: bool = False
    full: bool = False
    password: str = "staging-password"  # noqa: S105 - invented
    paging: Paging = "none"
    cap: int = 150
    form: Form = "flat"
    first_connection: int = 1
