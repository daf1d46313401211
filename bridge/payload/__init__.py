"""test IO's export JSON to the model. The only place that knows their field names.

Documented at https://guides.test.io/docs/api/connections; where that is silent, be liberal: ids as text, steps as
one text, nulls and missing parts are all taken in. What cannot be understood is named by JSON pointer (RFC 6901).
"""

from bridge.payload.body import NotJson, dump, parse, scrub, without_credentials
from bridge.payload.outline import Outline, outline
from bridge.payload.reading import (
    BUG_EXPORTED,
    PayloadError,
    event_of,
    identity,
    read_export,
    read_kept,
)

__all__ = [
    "BUG_EXPORTED", "NotJson", "Outline", "PayloadError", "dump", "event_of", "identity", "outline", "parse",
    "read_export", "read_kept", "scrub", "without_credentials",
]  # fmt: skip
