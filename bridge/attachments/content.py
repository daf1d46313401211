"""What a file is, by its first bytes, and what to call it."""

from __future__ import annotations

import mimetypes
import re
import unicodedata

from bridge.errors import AttachmentError

HEAD = 512
"""Bytes that are looked at."""

HTML = "text/html"
UNKNOWN = "application/octet-stream"
_LONGEST_NAME = 120  # characters; with UTF-8 this stays below what every file system takes (255 bytes)

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
)
_QUICKTIME_ATOMS = {b"moov", b"mdat", b"wide", b"free", b"skip"}
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "application/x-zip-compressed": "application/zip",
}
_RECOGNISED = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "video/mp4", "video/quicktime", "video/webm"}
    | {"application/pdf", "application/zip"}
)
"""Declared types whose content must look like it."""


def sniff(head: bytes) -> str:
    """Return the type that the first bytes of a file say; empty when they say nothing."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return (
            "video/quicktime" if brand == b"qt  " else "image/heic" if brand in {b"heic", b"mif1"} else "video/mp4"
        )
    if head[4:8] in _QUICKTIME_ATOMS:
        return "video/quicktime"
    return _sniff_text(head)


def _sniff_text(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text/plain"
    if b"\0" in head:
        return ""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return HTML
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    return "" if control else "text/plain"


def type_of(declared: str, head: bytes, name: str) -> str:
    """Return the type of a file: what its bytes say where they are clear, else what was declared."""
    declared, seen = _plain(declared), sniff(head)
    if declared in {"", UNKNOWN}:
        guess = mimetypes.guess_type(name)[0]
        return guess if guess and seen in {"", "text/plain", "application/zip"} else seen or UNKNOWN
    return seen if declared in _RECOGNISED else declared


def refuse_wrong_content(declared: str, head: bytes, answered: str) -> None:
    """Raise when the content is surely not the file that was meant: a sign-in page, an error in words.

    Args:
        declared: The type that the export says.
        head: The first bytes.
        answered: The `Content-Type` that the server says.

    Raises:
        AttachmentError: It is something else.
    """
    declared, seen = _plain(declared), sniff(head)
    may_be_html = declared in {HTML, "application/xhtml+xml"} or (
        declared.startswith("text/") and _plain(answered) != HTML
    )
    if seen == HTML and not may_be_html:
        raise AttachmentError(
            f"a web page came instead of {declared or 'a file'}, perhaps a sign-in page", retry=False
        )
    if declared in _RECOGNISED and _family(seen) != _family(declared):
        raise AttachmentError(
            f"it should be {declared}, but its content is {seen or 'something else'}", retry=False
        )


def safe_name(name: str, kind: str) -> str:
    """Return a file name that is harmless everywhere, with an extension.

    Args:
        name: The name as it came.
        kind: The MIME type, for a name without extension.
    """
    visible = "".join(letter for letter in unicodedata.normalize("NFC", name) if letter.isprintable())
    plain = re.sub(r'[\\/:*?"<>|]', "_", visible).strip(" .") or "attachment"
    stem, dot, extension = plain.rpartition(".")
    if not dot or not re.fullmatch(r"[A-Za-z0-9]{1,10}", extension):
        stem, extension = plain, (mimetypes.guess_extension(kind) or "").lstrip(".")
    return f"{stem[:_LONGEST_NAME]}.{extension}" if extension else stem[:_LONGEST_NAME]


def _plain(kind: str) -> str:
    kind = kind.partition(";")[0].strip().lower()
    return _ALIASES.get(kind, kind)


def _family(kind: str) -> str:
    """Types that are taken for one another: a JPEG called image/png is still the picture."""
    return kind.partition("/")[0] if kind.startswith(("image/", "video/")) else kind
