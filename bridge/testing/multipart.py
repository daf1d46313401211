"""Reading `multipart/form-data` as a server does, for the fakes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from urllib.parse import unquote

_PARAMETER = re.compile(r'([\w-]+\*?)=(?:"((?:\\.|[^"\\])*)"|([^;\s]*))')
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n", '\\"': '"', "\\\\": "\\"}


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """One file of a multipart form.

    Attributes:
        field: Name of the form's field.
        name: The file's name as the client gave it.
        type: MIME type as the client gave it.
        content: Its bytes.
    """

    field: str
    name: str
    type: str
    content: bytes


def parts(content_type: str, body: bytes) -> Iterator[tuple[Mapping[str, str], str, bytes]]:
    """Yield parameters of `Content-Disposition`, type and content of every part of a multipart body."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if not content_type.lower().startswith("multipart/") or not isinstance(boundary, str):
        return
    for part in body.split(b"--" + boundary.encode())[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = dict(_header_lines(head.decode("utf-8", "replace")))
        disposition = _parameters(headers.get("content-disposition", ""))
        yield disposition, headers.get("content-type", ""), content.removesuffix(b"\r\n")


def _header_lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\r\n"):
        name, _, value = line.partition(":")
        yield name.strip().lower(), value.strip()


def _parameters(disposition: str) -> Mapping[str, str]:
    """Return the parameters of a `Content-Disposition`, decoded as browsers and RFC 5987 encode them."""
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(disposition):
        value = re.sub(r'%22|%0D|%0A|\\"|\\\\', lambda match: _ESCAPES[match[0]], quoted) if quoted else bare
        if name.endswith("*"):
            found[name[:-1]] = unquote(value.split("''", 1)[-1])
        else:
            found.setdefault(name, value)
    return found
