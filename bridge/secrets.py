"""Secrets: how settings hold them, and how they are kept out of everything people and machines read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, SecretStr

Secret = SecretStr
"""A settings field whose value shows in no repr, log, error or page. `.get_secret_value()` reads it."""

HIDDEN = "[secret]"
_AUTHORIZATION = re.compile(
    r"\b(Basic|Bearer|[\w-]{0,20}Token)\s+(?=\S*[\d=])[A-Za-z0-9+/=_.~-]{16,}", re.IGNORECASE
)
"""A server that shows us the header we sent shows user and password in base64, which no list of secrets has."""
_SHORTEST = 6  # shorter ones would blank ordinary words out of every message


def secrets_in(value: Any) -> Iterator[str]:
    """Yield every secret inside settings, however deep."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_in(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from secrets_in(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from secrets_in(item)


def fingerprint(*parts: str) -> str:
    """Return a short name for a set of credentials from which they cannot be recovered."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


class Redactor:
    """Takes known secrets out of text, in the forms in which they travel (plain and URL-quoted).

    Args:
        secrets: The values; those shorter than six characters are passed over.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in (secret, quote(secret, safe="")) if len(form) >= _SHORTEST}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        """Return `text` with every known secret, and every credential of an `Authorization` header, taken out."""
        text = _AUTHORIZATION.sub(rf"\1 {HIDDEN}", text)
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def deep(self, value: Any) -> Any:
        """Return JSON-like `value` with every known secret replaced in every string."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {self.deep(key): self.deep(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.deep(item) for item in value]
        return value

    def __repr__(self) -> str:
        return "Redactor()"
