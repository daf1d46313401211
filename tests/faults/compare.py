"""What was accepted, held against what the trackers have. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.load import Accepted
from tests.faults.plan import Bug
from tests.faults.trackers import Made


@dataclass
class Verdict:
    """What the comparison found.

    Attributes:
        issues: How many issues the trackers have.
        comments: How many comments: one for each later export of a bug.
        files: How many attachments.
        lost: Accepted, and not there: an issue, a comment, an attachment.
        doubled: Issues too many.
        disordered: Issues that heard of the exports of their bug in another order.
        repeated_comments: Comments made more than once: no tracker can be asked whether it has one already.
        repeated_files: Attachments uploaded more than once, for the same reason.
    """

    issues: int = 0
    comments: int = 0
    files: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    repeated_comments: int = 0
    repeated_files: int = 0


def compare(accepted: Sequence[Accepted], trackers: Mapping[str, Sequence[Made]]) -> Verdict:
    """Return what is wrong, if anything.

    Args:
        accepted: Every export that was answered with 202.
        trackers: The issues of each tracker, by its name.
    """
    verdict = Verdict()
    exports: dict[int, list[Accepted]] = defaultdict(list)
    for each in accepted:
        exports[each.bug.id].append(each)
    for name, issues in trackers.items():
        made: dict[int, list[Made]] = defaultdict(list)
        for issue in issues:
            made[issue.bug].append(issue)
        for number in made.keys() | exports.keys():
            _look_at(verdict, name, exports.get(number, ()), made.get(number, ()))
    return verdict


def _look_at(verdict: Verdict, tracker: str, exports: Sequence[Accepted], issues: Sequence[Made]) -> None:
    """Look at one bug in one tracker."""
    verdict.issues += len(issues)
    wanted = bool(exports) and tracker in exports[0].bug.trackers
    if not wanted:
        verdict.doubled += [
            f"{tracker}: issue {issue.number} of bug {issue.bug}: nobody asked for" for issue in issues
        ]
        return
    bug, told = exports[0].bug, sorted(each.told for each in exports)
    if not issues:
        verdict.lost.append(f"{tracker}: bug {bug.id} has no issue")
        return
    numbers = [issue.number for issue in issues]
    verdict.doubled += [f"{tracker}: bug {bug.id} has issues {numbers}"] * (len(issues) - 1)
    heard = [each for issue in issues for each in issue.told]
    verdict.lost += [f"{tracker}: bug {bug.id} was not told export {each}" for each in set(told) - set(heard)]
    once = list(dict.fromkeys(heard))
    if _without_repeats(heard) != sorted(once):
        verdict.disordered.append(f"{tracker}: bug {bug.id} heard of its exports in the order {heard}")
    verdict.comments += len(once) - 1
    verdict.repeated_comments += len(heard) - len(once)
    verdict.lost += _missing_files(tracker, bug, issues)
    files = Counter(name for issue in issues for name in issue.files)
    verdict.files += len(files)
    verdict.repeated_files += files.total() - len(files)


def _without_repeats(heard: Sequence[int]) -> list[int]:
    """Return it without what comes twice in a row: a comment in doubt is made again."""
    return [each for place, each in enumerate(heard) if not place or heard[place - 1] != each]


def _missing_files(tracker: str, bug: Bug, issues: Sequence[Made]) -> Iterator[str]:
    there = {name for issue in issues for name in issue.files}
    for name in bug.pictures:
        if name not in there:
            yield f"{tracker}: bug {bug.id} lacks {name}"
    for issue in issues:
        yield from (f"{tracker}: bug {bug.id}: {name} is broken" for name in issue.broken)
