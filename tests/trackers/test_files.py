"""The `files` tracker: conformance, and what is special about files."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from bridge import AttachmentFile, Body, Draft, Gone, Issue, Markup, NotAllowed, Rejected, Tools, Unavailable
from bridge.testing import FakeClock, FakeServer, bugs, sample_bug, sample_draft
from bridge.testing.conformance import LocalConformance
from bridge.testing.samples import HOSTILE_TITLE
from bridge_plugins.files import END, Files, Settings, safe_name


class Folder(FakeServer):
    """Stands in for a server: `url` is a folder, and the issues are what is in it."""

    def start(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="issues-")
        self._url = self._folder.name
        return self

    def close(self) -> None:
        self._folder.cleanup()

    def pages(self) -> dict[str, str]:
        return {path.parent.name: path.read_text() for path in Path(self.url).glob("*/issue.md")}

    def markers(self) -> list[str]:
        return [front(text)["marker"] for text in self.pages().values()]


class TestFiles(LocalConformance):
    tracker = Files
    server = Folder

    def settings(self, url: str) -> dict[str, Any]:
        return {"type": "files", "folder": url}

    def finish(self, fake: FakeServer, issue: Issue) -> bool:
        path = Path(fake.url) / issue.id / "issue.md"
        path.write_text(path.read_text().replace('status: "open"', "status: Closed"))
        return True

    def has_said(self, fake: FakeServer, draft: Draft) -> None:
        assert isinstance(fake, Folder)
        text = fake.pages()[draft.marker.text]
        assert (front(text)["title"], front(text)["labels"]) == (draft.title, list(draft.labels))
        assert description(text) == draft.body.text.strip()

    def told(self, fake: FakeServer, since: int) -> list[Any]:
        assert isinstance(fake, Folder)
        return [value for text in fake.pages().values() for value in (front(text)["title"], text)]

    def uploaded(self, fake: FakeServer, content: bytes) -> bool:
        return any(path.read_bytes() == content for path in Path(fake.url).glob("*/*") if path.name != "issue.md")


def front(text: str) -> dict[str, Any]:
    """The front matter as any YAML reader reads it."""
    values: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return values


def description(text: str) -> str:
    return text.partition("\n---\n")[2].partition(END)[0].strip()


@pytest.fixture
def tracker(tmp_path: Path) -> Files:
    return Files("archive", Settings(type="files", folder=tmp_path / "issues"), Tools(FakeClock()))


@pytest.fixture
def draft(tracker: Files) -> Draft:
    return sample_draft(tracker)


@pytest.fixture
def issue(tracker: Files, draft: Draft) -> Issue:
    return asyncio.run(tracker.create(draft))


@pytest.fixture
def page(tmp_path: Path, issue: Issue) -> Path:
    return tmp_path / "issues" / "testio-bug-12345" / "issue.md"


@pytest.fixture
def attachment(tmp_path: Path) -> AttachmentFile:
    path = tmp_path / "spooled"
    path.write_bytes(b"picture")
    return AttachmentFile(path=path, name="abc.png", type="image/png", size=7, url="https://files.test.io/abc.png")


def edit(page: Path, old: str, new: str) -> None:
    text = page.read_text()
    assert old in text
    page.write_text(text.replace(old, new))


def test_an_issue_is_a_file_that_people_and_yaml_read(page: Path, issue: Issue, draft: Draft) -> None:
    text = page.read_text()

    assert issue == Issue(id="testio-bug-12345", key="testio-bug-12345", url=page.as_uri())
    assert front(text) == {
        "id": "testio-bug-12345",
        "status": "open",
        "title": "Checkout total is incorrect",
        "labels": ["test-io"],
        "severity": "high",
        "link": "https://app.test.io/bugs/12345",
        "created": "2026-01-05T09:00:00+00:00",
        "marker": "testio-bug-12345",
    }
    assert description(text) == draft.body.text.strip()


def test_hostile_text_does_not_escape_the_front_matter(tracker: Files, tmp_path: Path) -> None:
    title = HOSTILE_TITLE + "\u2028\x85 --- : # ' \ufeff"
    draft = sample_draft(tracker, bugs()["hostile"], title=title, fields={"a: b\n---": "x\n---\nid: 7", "n": None})
    asyncio.run(tracker.create(draft))

    text = (tmp_path / "issues" / "testio-bug-12347" / "issue.md").read_text()

    values = front(text)
    assert (values["title"], values["a_b_---"], values["n"]) == (title, "x\n---\nid: 7", None)
    assert values["id"] == "testio-bug-12347"


def test_two_processes_at_once_make_one_issue(tmp_path: Path, tracker: Files, draft: Draft) -> None:
    """Whoever is first wins, and all get the same issue."""

    def create(number: int) -> Issue:
        other = Files(f"other-{number}", tracker.settings)
        return asyncio.run(other.create(draft.with_(title=f"Title {number}")))

    with ThreadPoolExecutor(8) as pool:
        issues = set(pool.map(create, range(24)))

    assert len(issues) == 1
    folder = tmp_path / "issues" / draft.marker.text
    assert [path.name for path in folder.iterdir()] == ["issue.md"], "no temporary file is left behind"


def test_a_folder_left_empty_by_a_crash_is_no_issue(tmp_path: Path, tracker: Files, draft: Draft) -> None:
    (tmp_path / "issues" / draft.marker.text).mkdir(parents=True)

    assert asyncio.run(tracker.find(draft.marker)) is None
    assert asyncio.run(tracker.create(draft)) == asyncio.run(tracker.find(draft.marker))


def test_update_leaves_alone_what_people_wrote(page: Path, issue: Issue, tracker: Files) -> None:
    edit(page, 'labels: ["test-io"]', "labels:\n  - test-io\n  - ours\nsprint: 12  # not ours\nowner: 'Ann'")
    page.write_text(page.read_text() + "\nNotes of a person\n")
    changed = sample_draft(
        tracker, sample_bug(title="New"), labels=("new",), only=frozenset({"title", "labels", "body"})
    )

    asyncio.run(tracker.update(issue, changed))

    text = page.read_text()
    values = front(text)
    assert (values["title"], values["labels"], values["sprint"], values["owner"]) == ("New", ["new"], 12, "Ann")
    assert values["status"] == "open"
    assert text.endswith("\nNotes of a person\n")
    assert text.count(END) == 1


def test_update_without_the_end_of_the_description_leaves_the_text_alone_and_says_so(
    page: Path, issue: Issue, tracker: Files
) -> None:
    edit(page, END, "my own words")
    before = description(page.read_text())

    updated = asyncio.run(tracker.update(issue, sample_draft(tracker, sample_bug(description="Changed"))))

    assert description(page.read_text()) == before
    assert "the description was left as it is" in updated.warnings[0]


def test_comments_follow_each_other_with_their_date(page: Path, issue: Issue, tracker: Files) -> None:
    for words in ("First", "Second"):
        asyncio.run(tracker.comment(issue, Body(Markup.GFM, words)))

    end = page.read_text().partition(END)[2]
    assert end == "\n\n## Comments\n\n### 2026-01-05 09:00 UTC\n\nFirst\n\n### 2026-01-05 09:00 UTC\n\nSecond\n"


def test_the_same_file_twice_stays_one_and_another_of_that_name_is_kept_beside(
    page: Path, issue: Issue, tracker: Files, attachment: AttachmentFile
) -> None:
    asyncio.run(tracker.attach(issue, attachment))
    asyncio.run(tracker.attach(issue, attachment))
    attachment.path.write_bytes(b"another picture")
    asyncio.run(tracker.attach(issue, attachment))

    assert {path.name: path.read_bytes() for path in page.parent.iterdir() if path != page} == {
        "abc.png": b"picture",
        "abc-2.png": b"another picture",
    }


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "_._etc_passwd"),
        ("..", "attachment"),
        ("", "attachment"),
        (".hidden", "hidden"),
        ("a/b\\c:d\x00\n\u202egnp.exe", "a_b_c_d_gnp.exe"),
        ("name without ending", "name without ending"),
        ("ñ☃.png", "ñ☃.png"),
        ("x" * 300 + ".jpeg", "x" * 115 + ".jpeg"),
    ],
)
def test_attachments_stay_in_the_issues_folder(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_an_attachment_cannot_replace_the_issue(
    page: Path, issue: Issue, tracker: Files, attachment: AttachmentFile
) -> None:
    before = page.read_text()
    odd = AttachmentFile(path=attachment.path, name="issue.md", type="", size=7, url="")

    asyncio.run(tracker.attach(issue, odd))

    assert page.read_text() == before
    assert (page.parent / "issue-2.md").read_bytes() == b"picture"


@pytest.mark.parametrize("method", ["update", "comment", "attach", "state"])
def test_a_deleted_issue_is_gone(
    page: Path, issue: Issue, tracker: Files, draft: Draft, attachment: AttachmentFile, method: str
) -> None:
    page.unlink()
    arguments: dict[str, tuple[Any, ...]] = {
        "update": (draft,), "comment": (Body(Markup.GFM, "x"),), "attach": (attachment,), "state": ()
    }  # fmt: skip

    with pytest.raises(Gone, match=r"issue\.md"):
        asyncio.run(getattr(tracker, method)(issue, *arguments[method]))


def test_an_id_cannot_leave_the_folder(tracker: Files) -> None:
    with pytest.raises(Rejected):
        asyncio.run(tracker.state(Issue(id="../secrets", key="", url="")))


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, Unavailable),
        (errno.EDQUOT, Unavailable),
        (errno.EIO, Unavailable),
        (errno.ESTALE, Unavailable),
        (errno.EACCES, NotAllowed),
        (errno.EROFS, NotAllowed),
    ],
)
def test_what_the_disk_says_is_the_error_that_it_means(
    tracker: Files, draft: Draft, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    """A full disk is waited for, a missing right is for a person; nothing half-written is left."""

    def refuse(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(error, match=os.strerror(number)):
        asyncio.run(tracker.create(draft))

    monkeypatch.undo()
    assert asyncio.run(tracker.find(draft.marker)) is None


@pytest.fixture
def standing_in_the_way(tmp_path: Path) -> Path:
    path = tmp_path / "issues"
    path.write_text("a file, not a folder")
    return path


def test_a_file_where_the_folder_should_be_is_found_by_the_doctor(
    standing_in_the_way: Path, tracker: Files, draft: Draft
) -> None:
    report = asyncio.run(tracker.check())

    assert not report.ok
    assert "is no folder" in report.findings[0].message
    with pytest.raises(Rejected):
        asyncio.run(tracker.create(draft))


def test_the_doctor_makes_no_folder(tmp_path: Path, tracker: Files) -> None:
    assert asyncio.run(tracker.check()).ok
    assert not (tmp_path / "issues").exists()
