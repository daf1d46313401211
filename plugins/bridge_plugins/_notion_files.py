"""Files for Notion: their names, their blocks, and a part of one.

https://developers.notion.com/docs/working-with-files-and-media and
https://developers.notion.com/docs/sending-larger-files
"""

from __future__ import annotations

import io
import mimetypes
import posixpath
from collections.abc import Mapping
from typing import Any, BinaryIO

from bridge import AttachmentFile, Json

PART = 20_000_000  # bytes; larger files are sent in parts, each but the last one of 5 MiB at least
NAME_LIMIT = 100  # characters
_ADDRESS = 2000  # characters of a link's address
_KINDS = {"image": "image", "video": "video", "audio": "audio"}


class Window(io.RawIOBase):
    """A part of an open file that can be read like a file.

    Args:
        stream: The file; its position is this part's as long as it is read.
        start: Where the part begins, in bytes.
        size: Its length in bytes.
    """

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self._stream, self._start, self._size, self._at = stream, start, size, 0

    def seekable(self) -> bool:
        """Return true."""
        return True

    def readable(self) -> bool:
        """Return true."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position in the part and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, min(base + offset, self._size))
        return self._at

    def tell(self) -> int:
        """Return the position in the part."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, all that are left for a negative size."""
        left = self._size - self._at
        self._stream.seek(self._start + self._at)
        content = self._stream.read(left if size < 0 else min(size, left))
        self._at += len(content)
        return content


def name_of(file: AttachmentFile) -> str:
    """Return a file's name as Notion takes it: short, in one line, with an ending that fits its type."""
    stem, ending = posixpath.splitext(" ".join(file.name.split()))
    if mimetypes.guess_type(f"x{ending}")[0] != file.type:
        stem, ending = stem + ending, mimetypes.guess_extension(file.type) or ending
    return stem[: NAME_LIMIT - len(ending)] + ending


def origin(file: AttachmentFile) -> str:
    """Return where a file came from; without the query, which is another one at each export."""
    return file.url.partition("?")[0]


def block(file: AttachmentFile, upload: str) -> dict[str, Any]:
    """Return the block that shows an uploaded file. What it is called leads to where it came from."""
    kind = "pdf" if file.type == "application/pdf" else _KINDS.get(file.type.partition("/")[0], "file")
    address = origin(file)
    link = {"link": {"url": address}} if len(address) <= _ADDRESS else {}
    caption = [{"text": {"content": file.name, **link}}]
    return {"type": kind, kind: {"type": "file_upload", "file_upload": {"id": upload}, "caption": caption}}


def came_from(block: Mapping[str, Json]) -> str | None:
    """Return the address in the caption of a file's block; None for another block."""
    captions = (block.get(block.get("type", "")) or {}).get("caption") or ()
    return next((str(each["href"]) for each in captions if each.get("href")), None)
