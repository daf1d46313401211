"""What happens to an issue after it was made."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Rejected
from bridge.model import AttachmentFile, Draft
from bridge.testing.conformance.setup import Setup, carries, carries_text, sent, writes
from bridge.testing.samples import HOSTILE_TEXT, sample_bug, sample_comment, sample_draft
from bridge.testing.server import FakeServer, Request
from bridge.tracker import Tracker

ODD_NAME = 'Bildschirm "foto"\r\n; filename=x ☃ ñ.png'
"""A file name that breaks out of a header when nobody takes care."""

MakeFile = Callable[[str, bytes], AttachmentFile]


LONGEST_PIECE = 2**20
"""Bytes of an attachment that may be read at once."""


class WatchedPath(type(Path())):  # type: ignore[misc] # the class of paths of this system
    """A path that knows the longest piece that was read from its file at once, in bytes."""

    longest: int

    def open(self, *_arguments: Any, **_options: Any) -> io.BufferedReader:
        """Open the file, watching."""
        return _WatchedReader(io.FileIO(str(self)), self)


class _WatchedReader(io.BufferedReader):
    def __init__(self, raw: io.FileIO, path: WatchedPath) -> None:
        super().__init__(raw)
        self._path = path

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self._path.longest = max(self._path.longest, len(content))
        return content


class Later(Setup):
    """update, comment, attach, state."""

    @pytest.fixture
    def make_file(self, tmp_path: Path) -> MakeFile:
        """Makes fetched attachments."""

        def make(name: str, content: bytes) -> AttachmentFile:
            path = tmp_path / f"spooled-{len(list(tmp_path.iterdir()))}"
            path.write_bytes(content)
            url = "https://files.test.io/attachments/abc.png"
            return AttachmentFile(path=path, name=name, type="image/png", size=len(content), url=url)

        return make

    @pytest.mark.parametrize("part", ["title", "body", "labels"])
    async def test_update_sets_only_what_is_named(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft, part: str
    ) -> None:
        """Everything else is left as people made it."""
        self.needs("update")
        self.needs(part)
        issue = await subject.create(draft)
        changed = sample_draft(
            subject,
            sample_bug(title="Another title", description="Another description"),
            labels=("another-label",),
            only=frozenset({part}),
        )
        before = len(fake.requests)

        updated = await subject.update(issue, changed)

        assert (updated.id, updated.key, updated.url) == (issue.id, issue.key, issue.url)
        assert self.said(fake, before, changed) == {part}
        assert fake.markers() == [draft.marker.text]

    async def test_comment_arrives(self, fake: FakeServer, subject: Tracker[Any], draft: Draft) -> None:
        """As it was rendered, on the issue, and no issue is made by it."""
        self.needs("comment")
        issue = await subject.create(draft)
        before = len(fake.requests)
        body = sample_comment(subject, HOSTILE_TEXT)

        await subject.comment(issue, body)

        assert carries(self.told(fake, before), body)
        assert fake.markers() == [draft.marker.text]

    @pytest.mark.parametrize("size", [0, 3, 5_000_000])
    async def test_attach_uploads_every_byte(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft, make_file: MakeFile, size: int
    ) -> None:
        """However large; a tracker that takes no empty file says so."""
        self.needs("attach")
        issue = await subject.create(draft)
        file = make_file("abc.png", bytes(index % 251 for index in range(min(size, 5000))) * max(1, size // 5000))

        try:
            await subject.attach(issue, file)
        except Rejected:
            assert size == 0
        else:
            assert self.uploaded(fake, file.path.read_bytes())

    async def test_attach_reads_a_large_file_in_pieces(
        self, subject: Tracker[Any], draft: Draft, make_file: MakeFile
    ) -> None:
        """A video must not fill the memory. A vendor that wants files inside JSON lacks `pieces`."""
        self.needs("attach")
        self.needs("pieces")
        issue = await subject.create(draft)
        file = make_file("video.mp4", b"x" * 5_000_000)
        path = WatchedPath(file.path)
        path.longest = 0

        await subject.attach(issue, replace(file, path=path))

        assert 0 < path.longest <= LONGEST_PIECE

    async def test_attach_takes_any_file_name(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft, make_file: MakeFile
    ) -> None:
        """Quotes, line breaks and letters of the world break nothing."""
        self.needs("attach")
        issue = await subject.create(draft)

        await subject.attach(issue, make_file(ODD_NAME, b"\x89PNG odd"))

        assert self.uploaded(fake, b"\x89PNG odd")

    async def test_state_of_a_new_issue_is_open(self, subject: Tracker[Any], draft: Draft) -> None:
        """With the tracker's own word for it."""
        self.needs("state")
        state = await subject.state(await subject.create(draft))

        assert not state.done
        assert state.name

    async def test_state_of_a_finished_issue_is_done(
        self, fake: FakeServer, subject: Tracker[Any], draft: Draft
    ) -> None:
        """After a person closed it in the tracker."""
        self.needs("state")
        issue = await subject.create(draft)
        if not self.finish(fake, issue):
            pytest.skip("the test of this tracker does not define `finish`")

        assert (await subject.state(issue)).done

    def told(self, fake: FakeServer, since: int) -> list[Any]:
        """Return every value sent from request number `since` on. A stand-in without requests overrides this."""
        return sent(writes(fake.requests[since:]))

    def said(self, fake: FakeServer, since: int, draft: Draft) -> set[str]:
        """Return which of title, body and labels of `draft` were said from request number `since` on."""
        values = self.told(fake, since)
        found = {
            "title": draft.title in values,
            "body": carries(values, draft.body),
            "labels": any(carries_text(values, label) for label in draft.labels),
        }
        return {part for part, here in found.items() if here}

    def uploaded(self, fake: FakeServer, content: bytes) -> bool:
        """Whether a file with `content` arrived: in a form, as a body of its own, or in base64."""
        return any(holds_file(request, content) for request in fake.requests)


def holds_file(request: Request, content: bytes) -> bool:
    """Whether `content` came with a request, in any of the ways in which trackers take files."""
    if any(file.content == content for file in request.files):
        return True
    if "json" in request.headers.get("content-type", ""):
        return b64encode(content).decode() in sent([request])
    return request.method in {"POST", "PUT", "PATCH"} and request.body == content
