"""Issues as Markdown files with front matter in a folder, their attachments beside them.

No account and no network: for a first run, and as an archive beside another tracker. One folder an issue, named
by the marker, so that looking for an issue costs the same among ten as among a million::

    issues/testio-bug-12345/issue.md
    issues/testio-bug-12345/abc.png

People may edit everything: `status:` says whether they are done, other lines of the front matter and everything
below the end of the description are left alone.
"""

from __future__ import annotations

import asyncio
import errno
import filecmp
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, ClassVar

from pydantic import Field

from bridge import (
    AttachmentFile,
    Body,
    Draft,
    Finding,
    Gone,
    Issue,
    IssueState,
    Json,
    Kind,
    Level,
    Marker,
    Markup,
    NotAllowed,
    Rejected,
    Report,
    Tracker,
    TrackerError,
    TrackerSettings,
    Unavailable,
    doctor,
    hookimpl,
)

END = "<!-- end of the description -->"
"""Above it is what the bridge wrote and may write anew, below it are comments and what people add."""

_FREE = 100 * 2**20  # bytes; below it the doctor warns
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028\u2029\u202a-\u202e\u2066-\u2069]+')
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


class Settings(TrackerSettings):
    """Where the issues are, and which words mean that people are done with one."""

    folder: Path = Field(Path("issues"), description="folder of the issues; made when it is not there")
    done: tuple[str, ...] = Field(
        ("closed", "done", "fixed", "resolved", "wontfix"), description="values of `status:` of a finished issue"
    )


@dataclass(frozen=True)
class Page:
    """An issue's file.

    Attributes:
        front: The lines of the front matter.
        description: What the bridge wrote.
        rest: From the line `END` on; empty where somebody removed that line.
    """

    front: tuple[str, ...]
    description: str
    rest: str

    @classmethod
    def parse(cls, text: str) -> Page:
        """Return what is in a file; a file without front matter is all description."""
        head, found, tail = text.removeprefix("---\n").partition("\n---\n")
        if not found or not text.startswith("---\n"):
            head, tail = "", text
        description, end, rest = tail.partition(f"\n{END}\n")
        return cls(tuple(head.splitlines()), description.strip("\n"), end.lstrip("\n") + rest)

    def __str__(self) -> str:
        front = "\n".join(self.front)
        return f"---\n{front}\n---\n\n{self.description}\n\n{self.rest}"

    def value(self, name: str) -> str:
        """Return a value of the front matter, quoted or not, as text."""
        for line in self.front:
            key, _, value = line.partition(":")
            if key.strip() == name:
                with suppress(ValueError):
                    return str(json.loads(value))
                return value.strip().strip("'")
        return ""

    def set(self, values: Mapping[str, Json]) -> Page:
        """Return the page with values of the front matter set anew, every other line as it was."""
        left, lines, replaced = {_key(name): value for name, value in values.items()}, [], False
        for line in self.front:
            if line.startswith((" ", "-")):  # goes on with the value above
                lines += [] if replaced else [line]
                continue
            key = line.partition(":")[0].strip()
            replaced = key in left
            lines.append(_line(key, left.pop(key)) if replaced else line)
        return replace(self, front=(*lines, *(_line(key, value) for key, value in left.items())))


def front_matter(draft: Draft) -> dict[str, Json]:
    """Return the values of the front matter that a draft sets; those without a value vanish."""
    parts = ("title", "labels", "issue_type", "priority", "severity", "assignee", "parent")
    chosen = draft.chosen(*((part, part, getattr(draft, part)) for part in parts))
    return chosen | {name: value for name, value in draft.own_fields.items() if name not in {"id", "marker"}}


def page(draft: Draft, created: str) -> Page:
    """Return the file of a new issue.

    Args:
        draft: The bug.
        created: The present moment in ISO 8601.
    """
    own = {"id": draft.marker.text, "status": "open"}
    values = own | front_matter(draft) | {"link": draft.bug.link, "created": created, "marker": draft.marker.text}
    return Page((), draft.body.text.strip("\n"), f"{END}\n").set(values)


def safe_name(name: str) -> str:
    """Return a file name that stays in its folder, on every system, at most 120 characters with its ending."""
    stem, dot, ending = _UNSAFE.sub("_", name).strip(" .").rpartition(".")
    stem, ending = (stem, f".{ending[-20:]}") if dot else (ending, "")
    return (stem.strip(" .")[: 120 - len(ending)] or "attachment") + ending


class Files(Tracker[Settings]):
    """Issues in a folder."""

    type = "files"
    label = "Files"
    settings_type = Settings
    markup = Markup.GFM
    enforces_marker = True
    default_severities: ClassVar[Mapping[str, str]] = {level: level for level in Level}
    default_kind_labels: ClassVar[Mapping[str, str]] = {
        kind: kind for kind in Kind if kind not in {Kind.FUNCTIONAL, Kind.UNKNOWN}
    }

    async def check(self) -> Report:
        """See whether the folder can be written to, and whether there is room."""
        return await asyncio.to_thread(self._check)

    async def create(self, draft: Draft) -> Issue:
        """Write the file; one that exists already is returned as it is."""
        return await asyncio.to_thread(self._create, draft)

    async def find(self, marker: Marker) -> Issue | None:
        """Look into the marker's folder."""
        return await asyncio.to_thread(self._find, marker)

    async def update(self, issue: Issue, draft: Draft) -> Issue:
        """Set values of the front matter and the description anew."""
        return await asyncio.to_thread(self._update, issue, draft)

    async def comment(self, issue: Issue, body: Body) -> None:
        """Append the comment, dated."""
        await asyncio.to_thread(self._comment, issue, body)

    async def attach(self, issue: Issue, file: AttachmentFile) -> None:
        """Copy the file beside the issue; the same content under the same name stays one file."""
        await asyncio.to_thread(self._attach, issue, file)

    async def state(self, issue: Issue) -> IssueState:
        """Read `status:`."""
        status = (await asyncio.to_thread(self._read, issue)).value("status") or "open"
        return IssueState(status.lower() in {word.lower() for word in self.settings.done}, status)

    def preview(self, draft: Draft) -> Json:
        """Return the file as it would be written."""
        created = self.tools.clock.now().isoformat(timespec="seconds")
        return {"file": str(self._path(draft.marker.text)), "content": str(page(draft, created))}

    def _check(self) -> Report:
        folder = self._root
        standing = next(path for path in (folder, *folder.parents) if path.exists())
        findings = [_writable(standing, folder)]
        free = shutil.disk_usage(standing).free
        if free < _FREE:
            told = f"{free // 2**20} MiB are left in {standing}"
            findings.append(doctor.warning("space", told, "make room, or choose another `folder`"))
        return Report(tuple(findings))

    def _create(self, draft: Draft) -> Issue:
        path = self._path(draft.marker.text)
        text = str(page(draft, self.tools.clock.now().isoformat(timespec="seconds")))
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError), _written(path, text.encode("utf-8", "replace")) as temporary:
                _publish(temporary, path)
            _sync(self._root)
        return self._issue(draft.marker.text)

    def _find(self, marker: Marker) -> Issue | None:
        path = self._path(marker.text)
        with _translated(path):
            return self._issue(marker.text) if path.is_file() else None

    def _update(self, issue: Issue, draft: Draft) -> Issue:
        old = self._read(issue)
        new = old.set(front_matter(draft))
        warnings: tuple[str, ...] = ()
        if draft.sets("body") and old.rest:
            new = replace(new, description=draft.body.text.strip("\n"))
        elif draft.sets("body"):
            warnings = (f"the description was left as it is: the line {END!r} is gone from {issue.url}",)
        self._write(issue, new)
        return replace(issue, warnings=warnings)

    def _comment(self, issue: Issue, body: Body) -> None:
        old = self._read(issue)
        heading = "" if "\n## Comments\n" in old.rest else "\n## Comments\n"
        moment = self.tools.clock.now().strftime("%Y-%m-%d %H:%M UTC")
        rest = (old.rest or f"{END}\n").rstrip("\n")
        self._write(issue, replace(old, rest=f"{rest}\n{heading}\n### {moment}\n\n{body.text.strip()}\n"))

    def _attach(self, issue: Issue, file: AttachmentFile) -> None:
        self._read(issue)
        folder = self._path(issue.id).parent
        for target in _numbered(folder / safe_name(file.name)):
            with _translated(target):
                if target.exists() and filecmp.cmp(target, file.path, shallow=False):
                    return
                if not target.exists():
                    with file.path.open("rb") as content, _written(target, content) as temporary:
                        temporary.replace(target)
                    return

    @property
    def _root(self) -> Path:
        return self.settings.folder.expanduser().absolute()

    def _path(self, name: str) -> Path:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
            raise Rejected(f"{name!r} is no name of an issue's folder")
        return self._root / name / "issue.md"

    def _issue(self, name: str) -> Issue:
        return Issue(id=name, key=name, url=self._path(name).as_uri())

    def _read(self, issue: Issue) -> Page:
        path = self._path(issue.id)
        with _translated(path):
            return Page.parse(path.read_text("utf-8", "replace"))

    def _write(self, issue: Issue, new: Page) -> None:
        path = self._path(issue.id)
        with _translated(path), _written(path, str(new).encode("utf-8", "replace")) as temporary:
            temporary.replace(path)


def _key(name: str) -> str:
    return re.sub(r"[^\w-]+", "_", name)


def _line(key: str, value: Json) -> str:
    """Return a line of front matter. JSON is YAML, but for a few characters that are written as escapes."""
    line = f"{key}: {json.dumps(value, ensure_ascii=False, default=str)}"
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def _numbered(path: Path) -> Iterator[Path]:
    """Yield `a.png`, `a-2.png`, `a-3.png`, ..."""
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1


@contextmanager
def _written(path: Path, content: bytes | BinaryIO) -> Iterator[Path]:
    """Give a temporary file with `content`, safe on the disk, to be put at `path` inside the context."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                shutil.copyfileobj(content, file)
            os.fchmod(file.fileno(), 0o644)  # mkstemp lets nobody else read
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
        _sync(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


def _publish(temporary: Path, path: Path) -> None:
    """Put a file in its place, unless there is one already.

    Raises:
        FileExistsError: There is one.
    """
    try:
        path.hardlink_to(temporary)  # unlike a rename, refuses to replace
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK} or path.exists():
            raise
        temporary.replace(path)  # a file system without hard links


def _sync(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _writable(standing: Path, folder: Path) -> Finding:
    """Try whether `standing`, the folder or the nearest one above it that exists, can be written to."""
    if not standing.is_dir():
        return doctor.error("folder", f"{standing} is no folder", "choose another `folder`")
    try:
        with tempfile.TemporaryFile(dir=standing):
            told = "can be written to" if standing == folder else "will be made"
            return doctor.ok("folder", f"{folder} {told}")
    except OSError as error:
        fix = f"let the user that runs the bridge write to {standing}, or choose another `folder`"
        return doctor.error("folder", f"{standing} cannot be written to: {error.strerror}", fix)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _error_for(error, path) from None


def _error_for(error: OSError, path: Path) -> TrackerError:
    words = f"{path}: {error.strerror or error}"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return NotAllowed(f"{words}: let the user that runs the bridge write there")
    if error.errno == errno.ENOENT:
        return Gone(words)
    if error.errno in {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG}:
        return Rejected(f"{words}: something else is where the issue's folder should be")
    return Unavailable(words)  # a full disk, a network share that is away: later it may work


@hookimpl
def bridge_trackers() -> Sequence[type[Files]]:
    """Return the tracker type of this module."""
    return [Files]
