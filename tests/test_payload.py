"""test IO's JSON: taken in liberally; what cannot be understood is named by JSON pointer, all at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import payload
from bridge.errors import Problem
from bridge.model import Attachment, Bug, Device, Export, Kind, Level, Reporter
from bridge.payload import NotJson, PayloadError
from bridge.testing import sample_bug

RECEIVED = datetime(2026, 1, 5, 9, tzinfo=UTC)
LEAST = {"id": 7, "title": "Crash"}


def read(document: Any) -> Export:
    return payload.read_export(document, id="e1", connection="web", received_at=RECEIVED)


def bug_of(**fields: Any) -> Bug:
    return read({"event": "bug.exported", "bug": LEAST | fields}).bug


def problems_of(document: Any) -> dict[str, str]:
    with pytest.raises(PayloadError) as caught:
        read(document)
    return {problem.path: problem.message for problem in caught.value.problems}


def bug_problems(**fields: Any) -> dict[str, str]:
    return problems_of({"event": "bug.exported", "bug": LEAST | fields})


class TestTheExamples:
    @pytest.fixture
    def example(self, examples):
        return lambda name: payload.parse((examples / f"{name}.json").read_bytes())

    def test_the_documented_one_is_read_whole(self, example):
        export = read(example("documented"))

        assert export.bug == sample_bug()
        assert export.exported_at == datetime(2025, 11, 7, 10, 15, tzinfo=UTC)
        assert (export.id, export.connection, export.event) == ("e1", "web", "bug.exported")
        assert export.received_at == RECEIVED
        assert export.extra == {}

    def test_the_minimal_one_leaves_everything_else_empty(self, example):
        assert read(example("minimal")).bug == Bug(
            id=2,
            title="Crash on start",
            link="https://app.test.io/bugs/2",
            severity="critical",
            level=Level.CRITICAL,
            kind=Kind.FUNCTIONAL,
        )

    def test_the_loose_one_is_normalised_and_what_is_unknown_is_kept(self, example):
        export = read(example("loose-types"))

        assert export.bug.id == 12346
        assert export.bug.steps == ("Open the shop", 'Search for "käse"', "Scroll")
        assert (export.bug.level, export.bug.kind) == (Level.LOW, Kind.VISUAL)
        assert (export.bug.description, export.bug.attachments, export.bug.device) == ("", (), Device())
        assert export.bug.extra == {"location": "https://shop.example/search"}
        assert export.extra == {"account": {"id": 5}}

    def test_the_hostile_one_keeps_its_text_and_loses_its_control_characters(self, example):
        bug = read(example("hostile-text")).bug

        assert "<script>alert(1)</script> @all fixes #1 {color:red}" in bug.title
        assert "{code}rm -rf{code} %{title} {{ bug.title }}" in bug.description
        assert "\x00" not in bug.description
        assert "\x07" not in bug.description
        assert "1) numbered\n   continued" in bug.steps, "a list of steps is left as its items are"
        assert "" not in bug.steps

    def test_the_large_one_is_not_cut_here(self, example):
        bug = read(example("large")).bug

        assert len(bug.attachments) == 40
        assert len(bug.description) > 50_000

    def test_the_re_export_is_the_same_bug_later(self, example):
        first, again = read(example("documented")), read(example("re-export"))

        assert again.bug.id == first.bug.id
        assert (first.exported_at, again.exported_at) == (
            datetime(2025, 11, 7, 10, 15, tzinfo=UTC),
            datetime(2025, 11, 8, 9, tzinfo=UTC),
        )

    def test_the_unknown_event_can_be_told_by_its_name(self, example):
        assert payload.event_of(example("unknown-event")) == "bug.commented"

    def test_the_invalid_one_names_every_wrong_field_at_once(self, example):
        assert set(problems_of(example("invalid"))) == {
            "/exported_at",
            "/bug/id",
            "/bug/title",
            "/bug/attachments",
            "/bug/device",
        }


class TestTheOtherFormOfTheGuide:
    """No event, no moment, the product beside the bug, and other names for some of its parts."""

    DOCUMENT: ClassVar[dict[str, Any]] = {
        "bug": {
            "id": 7,
            "title": "Nothing happens",
            "severity": "high",
            "environment": {"device": "Pixel 9", "os": "Android 16", "browser": "Firefox", "app_version": "3.1"},
            "attachments": [{"type": "screenshot", "url": "https://files.example/a.png"}],
            "tester": {"name": "Ann", "country": "Peru"},
            "test_cycle": {"id": 789, "name": "Sprint"},
        },
        "product": {"id": 123, "name": "Shop"},
    }

    @pytest.mark.parametrize("event", [{}, {"event": None}, {"event": ""}])
    def test_a_bug_without_an_event_was_exported(self, event):
        export = read(event | {"bug": LEAST})

        assert (export.event, export.exported_at, export.bug.id) == ("bug.exported", None, 7)

    def test_its_parts_are_found_under_their_other_names(self):
        bug = read(self.DOCUMENT).bug

        assert (bug.product_id, bug.test_cycle_id, bug.reporter) == (123, 789, Reporter(name="Ann"))
        assert bug.device == Device(device_type="Pixel 9", os="Android 16", browser="Firefox")
        assert bug.extra["product"] == {"id": 123, "name": "Shop"}
        assert bug.extra["environment"]["app_version"] == "3.1"

    def test_a_sort_of_attachment_is_no_mime_type(self):
        assert read(self.DOCUMENT).bug.attachments == (Attachment(url="https://files.example/a.png", type=""),)

    def test_what_the_documented_names_say_goes_first(self):
        names = {"device": {"os": "ios"}, "reporter": "Bo", "test_cycle_id": 1, "product_id": 2}
        bug = read(self.DOCUMENT | {"bug": self.DOCUMENT["bug"] | names}).bug

        assert (bug.product_id, bug.test_cycle_id, bug.reporter) == (2, 1, Reporter(name="Bo"))
        assert bug.device == Device(os="ios")

    @pytest.mark.parametrize("odd", [None, 5, "text", [1], {}])
    def test_other_things_under_those_names_do_no_harm(self, odd):
        parts = dict.fromkeys(("environment", "tester", "test_cycle"), odd)

        assert read({"bug": LEAST | parts, "product": odd}).bug == Bug(id=7, title="Crash", extra=parts)


class TestLooseForms:
    @pytest.mark.parametrize(("given", "read"), [(5, 5), ("5", 5), (" 0042 ", 42), (2**63 - 1, 2**63 - 1)])
    def test_ids_come_as_numbers_or_texts(self, given, read):
        bug = bug_of(id=given, test_cycle_id=given, product_id=given, reporter={"id": given})

        assert (bug.id, bug.test_cycle_id, bug.product_id, bug.reporter.id) == (read,) * 4

    @pytest.mark.parametrize(
        ("given", "steps"),
        [
            (None, ()),
            ("", ()),
            ([], ()),
            ("Open\nPay", ("Open", "Pay")),
            ("1. Open\r\n2) Pay\r\n", ("Open", "Pay")),
            ("1. Open\n   the shop\n2. Pay", ("Open\n   the shop", "Pay")),
            ("Before:\n1. Open\n2. Pay", ("Before:", "Open", "Pay")),
            ("10. Open", ("Open",)),
            ("Pay 3.50 now", ("Pay 3.50 now",)),
            (["Open", None, "", "  ", 5, "Pay\r\nnow\r"], ("Open", "5", "Pay\nnow")),
            (["    indented"], ("    indented",)),
        ],
    )
    def test_steps_come_as_a_list_or_as_one_text(self, given, steps):
        assert bug_of(steps_to_reproduce=given).steps == steps

    @pytest.mark.parametrize(
        ("given", "attachments"),
        [
            (None, ()),
            ("", ()),
            ([], ()),
            (["https://f/a.png"], (Attachment(url="https://f/a.png"),)),
            ([{"url": " https://f/a.png ", "type": None}], (Attachment(url="https://f/a.png"),)),
            ([{"url": None}, {"type": "image/png"}, {"url": ""}], ()),
            (
                [{"url": "https://f/a", "type": "image/png", "id": 5}],
                (Attachment(url="https://f/a", type="image/png"),),
            ),
        ],
    )
    def test_attachments_come_as_objects_or_as_bare_addresses(self, given, attachments):
        assert bug_of(attachments=given).attachments == attachments

    @pytest.mark.parametrize(
        ("given", "device"),
        [
            (None, Device()),
            ("", Device()),
            ({}, Device()),
            ("iPhone 15", Device(device_type="iPhone 15")),
            ({"os": "ios", "os_version": 17.2, "browser": None}, Device(os="ios", os_version="17.2")),
        ],
    )
    def test_the_device_comes_as_an_object_a_text_or_not_at_all(self, given, device):
        assert bug_of(device=given).device == device

    @pytest.mark.parametrize(
        ("given", "reporter"),
        [
            (None, Reporter()),
            ("Ann", Reporter(name="Ann")),
            ({"id": "9", "name": None}, Reporter(id=9)),
            ({"id": None, "name": "Ann"}, Reporter(name="Ann")),
        ],
    )
    def test_the_reporter_comes_as_an_object_a_name_or_not_at_all(self, given, reporter):
        assert bug_of(reporter=given).reporter == reporter

    @pytest.mark.parametrize(
        ("given", "text"),
        [
            (None, ""),
            (5, "5"),
            (1.5, "1.5"),
            (True, "true"),
            (False, "false"),
            ("a\r\nb\rc", "a\nb\nc"),
            ("  a  ", "a"),
            ("a\x00\x08\x0b\x1f\x7fb\tc", "ab\tc"),
            ("a\ud800b", "ab"),
            ("käse 🐞 <b>", "käse 🐞 <b>"),
        ],
    )
    @pytest.mark.parametrize(
        "name", ["title", "link", "description", "expected_result", "actual_result", "status"]
    )
    def test_texts_are_cleaned_of_what_no_tracker_takes(self, name, given, text):
        if name == "title" and given is None:
            return  # a title is required
        assert getattr(bug_of(**{name: given}), name) == text

    def test_an_empty_title_gets_a_name_because_every_tracker_wants_one(self):
        assert bug_of(title=" ").title == "(no title)"

    @pytest.mark.parametrize(
        ("given", "moment"),
        [
            (None, None),
            ("", None),
            ("2025-11-07T10:15:00Z", datetime(2025, 11, 7, 10, 15, tzinfo=UTC)),
            ("2025-11-07T10:15:00.250+02:00", datetime(2025, 11, 7, 8, 15, 0, 250_000, tzinfo=UTC)),
            ("2025-11-07 10:15:00", datetime(2025, 11, 7, 10, 15, tzinfo=UTC)),
            ("2025-11-07", datetime(2025, 11, 7, tzinfo=UTC)),
            (1762510500, datetime(2025, 11, 7, 10, 15, tzinfo=UTC)),
        ],
    )
    def test_the_moment_of_the_export_comes_in_many_forms(self, given, moment):
        document = {"event": "bug.exported", "exported_at": given, "bug": LEAST}

        assert read(document).exported_at == moment

    @pytest.mark.parametrize(
        ("given", "level", "kind"),
        [
            ("critical", Level.CRITICAL, Kind.FUNCTIONAL),
            ("HIGH ", Level.HIGH, Kind.FUNCTIONAL),
            ("low", Level.LOW, Kind.FUNCTIONAL),
            ("visual", Level.LOW, Kind.VISUAL),
            ("content", Level.LOW, Kind.CONTENT),
            ("suggestion", Level.LOW, Kind.SUGGESTION),
            ("spelling", Level.LOW, Kind.SPELLING),
            ("Test Case", Level.LOW, Kind.TEST_CASE),
            ("test-case", Level.LOW, Kind.TEST_CASE),
            ("custom", Level.LOW, Kind.CUSTOM),
            ("apocalyptic", Level.LOW, Kind.UNKNOWN),
            (None, Level.LOW, Kind.UNKNOWN),
        ],
    )
    def test_severity_is_split_into_how_bad_and_what_sort(self, given, level, kind):
        bug = bug_of(severity=given)

        assert (bug.level, bug.kind) == (level, kind)


class TestWhatCannotBeUnderstood:
    @pytest.mark.parametrize("document", [None, 5, "text", [], [{"event": "bug.exported"}]])
    def test_the_document_must_be_an_object(self, document):
        assert problems_of(document) == {"": "must be an object"}

    @pytest.mark.parametrize("event", [" ", 5, False, ["bug.exported"]])
    def test_an_event_is_a_text(self, event):
        assert problems_of({"event": event, "bug": LEAST}) == {"/event": "is required, and must be a text"}

    @pytest.mark.parametrize("bug", [{}, {"bug": None}, {"bug": "Crash"}, {"bug": [LEAST]}])
    @pytest.mark.parametrize("event", [{}, {"event": None}, {"event": ""}])
    def test_without_an_event_there_must_be_a_bug(self, event, bug):
        assert problems_of(event | bug) == {"/event": "is required, and must be a text"}

    @pytest.mark.parametrize("bug", [None, [], "bug", 5])
    def test_a_bug_is_required(self, bug):
        assert set(problems_of({"event": "bug.exported", "exported_at": "soon", "bug": bug})) == {
            "/bug",
            "/exported_at",
        }

    def test_id_and_title_are_required(self):
        assert problems_of({"event": "bug.exported", "bug": {}}) == {
            "/bug/id": "is required",
            "/bug/title": "is required",
        }

    @pytest.mark.parametrize("given", [1.0, -1, "-1", "1e3", "٣", True, [], {}, "abc", 2**63, "9" * 19, "9" * 400])
    def test_an_id_must_be_a_number_that_a_database_can_hold(self, given):
        assert bug_problems(id=given) == {"/bug/id": "must be a whole number"}

    @pytest.mark.parametrize("given", ["yesterday", [], {}, True, 1e300, -1e300, "0001-01-01T00:00:00+14:00"])
    def test_a_moment_must_be_one(self, given):
        document = {"event": "bug.exported", "exported_at": given, "bug": LEAST}

        assert "ISO 8601" in problems_of(document)["/exported_at"]

    def test_items_of_lists_are_named_by_their_index(self):
        assert bug_problems(
            steps_to_reproduce=["fine", {"text": "no"}, ["no"]], attachments=[{"url": {"no": 1}}, 5, None]
        ) == {
            "/bug/steps_to_reproduce/1": "must be a text",
            "/bug/steps_to_reproduce/2": "must be a text",
            "/bug/attachments/0/url": "must be a text",
            "/bug/attachments/1": "must be an object with a url",
            "/bug/attachments/2": "must be an object with a url",
        }

    def test_parts_of_parts_are_named_too(self):
        assert bug_problems(
            device={"os": ["ios"]}, reporter={"id": "nine", "name": {}}, product_id="shop", steps_to_reproduce=5
        ) == {
            "/bug/device/os": "must be a text",
            "/bug/reporter/id": "must be a whole number",
            "/bug/reporter/name": "must be a text",
            "/bug/product_id": "must be a whole number",
            "/bug/steps_to_reproduce": "must be a list of texts, or one text",
        }

    def test_the_error_says_all_of_it_in_one_line(self):
        with pytest.raises(PayloadError, match=r"^/bug/id: is required; /bug/title: is required$") as caught:
            read({"event": "bug.exported", "bug": {}})
        assert caught.value.problems[0] == Problem("/bug/id", "is required")


class TestOddJson:
    @pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe\xfa", b'{"a": 1', b"event=bug.exported"])
    def test_no_json_is_said_to_be_none(self, body):
        with pytest.raises(NotJson, match="the body is no JSON"):
            payload.parse(body)

    @pytest.mark.parametrize("depth", [300, 1_000, 100_000])
    def test_deep_nesting_is_refused_wherever_it_would_break_something(self, depth):
        with pytest.raises(NotJson):
            payload.parse(b'{"a":' * depth + b"1" + b"}" * depth)

    def test_a_number_longer_than_python_reads_is_refused(self):
        with pytest.raises(NotJson):
            payload.parse(b'{"id": ' + b"9" * 5000 + b"}")

    def test_a_byte_order_mark_and_utf_16_are_read(self):
        assert payload.parse(b'\xef\xbb\xbf{"a": 1}') == payload.parse('{"a": 1}'.encode("utf-16")) == {"a": 1}

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
    def test_numbers_that_are_none_are_no_ids_and_no_moments(self, number):
        body = f'{{"event": "bug.exported", "exported_at": {number}, "bug": {{"id": {number}, "title": "x"}}}}'

        assert set(problems_of(payload.parse(body.encode()))) == {"/exported_at", "/bug/id"}

    def test_a_lone_surrogate_survives_writing_as_it_came(self):
        body = b'{"extra": "\\ud800"}'

        assert payload.dump(payload.parse(body)) == body

    @settings(deadline=None, max_examples=150)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda children: st.lists(children, max_size=3) | st.dictionaries(
                st.sampled_from(["id", "title", "steps_to_reproduce", "attachments", "device", "reporter", "url",
                                 "severity", "os", "link", "test_environment", "password"]),
                children, max_size=5,
            ),
            max_leaves=12,
        )
    )  # fmt: skip
    def test_anything_at_all_is_either_read_or_refused_by_pointer(self, value):
        document, _ = payload.without_credentials({"event": "bug.exported", "exported_at": value, "bug": value})
        refused: tuple[Problem, ...] = ()
        try:
            export = read(document)
        except PayloadError as error:
            refused = error.problems
        else:
            export.bug.title.encode()
        assert all(problem.path.startswith(("/bug", "/exported_at")) for problem in refused)


PARTS = ("id", "title", "link", "severity", "steps_to_reproduce", "attachments", "device", "reporter", "product_id",
         "test_cycle_id", "environment", "tester", "test_cycle", "location")  # fmt: skip
VALUES: tuple[Any, ...] = (None, "", "x", " high\t", "7", "2025-11-07T10:15:00Z", 0, 7, -1, 2**63, 1.5, True, [], ["a", ""], [None], {},
          {"id": 7, "name": "Ann"}, {"id": "7"}, {"os": "ios", "device": 5}, [{"url": "https://f/a.png"}],
          [{"url": 5}], ["https://f/a.png"], {"name": "käse 🐞\r\n\x07"})  # fmt: skip


class TestOutline:
    """An export in the documented form need not be read whole to be written down."""

    def outline_of(self, document: object) -> payload.Outline | None:
        return payload.outline(json.dumps(document, ensure_ascii=False).encode())

    @pytest.mark.parametrize("name", ["documented", "minimal", "re-export", "large"])
    def test_it_says_the_same_as_reading_it_whole(self, examples, name):
        body = (examples / f"{name}.json").read_bytes()
        export = read(payload.parse(body))

        outline = payload.outline(body)

        assert outline == payload.Outline(export.bug.id, export.bug.title, export.exported_at)

    @pytest.mark.parametrize(
        "document",
        [
            pytest.param({"bug": LEAST}, id="names no event"),
            pytest.param({"event": "bug.commented", "bug": LEAST}, id="another event"),
            pytest.param({"event": "bug.exported", "bug": LEAST | {"id": "7"}}, id="an id as text"),
            pytest.param({"event": "bug.exported", "bug": LEAST | {"steps_to_reproduce": "Open"}}, id="one step"),
            pytest.param({"event": "bug.exported", "bug": LEAST | {"tester": {"id": "x"}}}, id="the other form"),
            pytest.param({"event": "bug.exported", "bug": LEAST, "product": {"id": "x"}}, id="the other form too"),
            pytest.param({"event": "bug.exported", "bug": LEAST, "exported_at": "yesterday"}, id="no moment"),
            pytest.param(
                {"event": "bug.exported", "bug": LEAST, "exported_at": "0001-01-01T00:00+14:00"}, id="long ago"
            ),
            pytest.param({"event": "bug.exported", "bug": LEAST, "x": {"test_environment": {}}}, id="credentials"),
            pytest.param({"event": "bug.exported", "bug": LEAST, "x": [[]] * 200}, id="nested too deep, perhaps"),
        ],
    )
    def test_anything_else_is_read_whole(self, document):
        assert self.outline_of(document) is None

    def test_credentials_under_an_escaped_name_are_looked_for_too(self):
        body = b'{"event": "bug.exported", "bug": {"id": 7, "title": "x"}, "test\\u005fenvironment": {"password": "p"}}'

        assert payload.outline(body) is None

    def test_of_two_values_with_one_name_the_same_counts(self):
        body = b'{"event": "bug.exported", "bug": {"id": 1, "title": "a", "id": 2, "title": "b"}}'
        bug = read(payload.parse(body)).bug

        outline = payload.outline(body)

        assert outline is None or (outline.bug_id, outline.title) == (bug.id, bug.title)

    @settings(deadline=None, max_examples=300)
    @given(
        st.dictionaries(st.sampled_from(PARTS), st.sampled_from(VALUES), max_size=4),
        st.dictionaries(st.sampled_from(["exported_at", "product", "account"]), st.sampled_from(VALUES)),
    )
    def test_where_there_is_one_reading_it_whole_says_the_same_and_refuses_nothing(self, parts, around):
        document = {"event": "bug.exported", "bug": LEAST | parts} | around
        outline = self.outline_of(document)
        if outline is None:
            return

        export = read(document)

        assert outline == payload.Outline(export.bug.id, export.bug.title, export.exported_at)


class TestTheSameExport:
    MOMENT = datetime(2025, 11, 7, 10, 15, tzinfo=UTC)

    def test_connection_bug_and_moment_make_it_the_same_whatever_else_it_says(self):
        assert payload.identity("web", 1, self.MOMENT, b"a") == payload.identity("web", 1, self.MOMENT, b"b")

    def test_without_a_moment_the_body_does(self):
        assert payload.identity("web", 1, None, b"a") == payload.identity("web", 1, None, b"a")
        assert payload.identity("web", 1, None, b"a") != payload.identity("web", 1, None, b"b")

    @pytest.mark.parametrize(
        ("connection", "bug", "moment"),
        [("app", 1, MOMENT), ("web", 2, MOMENT), ("web", 1, MOMENT.replace(second=1)), ("web", 1, None)],
    )
    def test_everything_else_is_another_one(self, connection, bug, moment):
        assert payload.identity(connection, bug, moment, b"") != payload.identity("web", 1, self.MOMENT, b"")

    def test_a_moment_is_the_same_in_every_time_zone(self):
        documents = [
            {"event": "bug.exported", "exported_at": moment, "bug": LEAST}
            for moment in ("2025-11-07T10:15:00Z", "2025-11-07T11:15:00+01:00")
        ]
        identities = {payload.identity("web", 7, read(document).exported_at, b"") for document in documents}

        assert len(identities) == 1


SECRETS = {"username": "stager-5", "password": "hunter2-9", "access": "vpn-key-77"}
ENVIRONMENT = SECRETS | {"id": 5, "url": "https://staging.shop.example"}


class TestStagingCredentials:
    """test IO's REST form has the customer's staging credentials in clear text: they are dropped at the door."""

    @pytest.mark.parametrize(
        "document",
        [
            {"test_environment": ENVIRONMENT},
            {"bug": {"test_environment": ENVIRONMENT}},
            {"bugs": [[{"test": {"test_environment": ENVIRONMENT}}]]},
            {"test_environment": [ENVIRONMENT, ENVIRONMENT]},
            {"test_environment": {"web": ENVIRONMENT, "id": 5, "url": "https://staging.shop.example"}},
            {
                "test_environment": {
                    "password": {"value": "hunter2-9"},
                    "id": 5,
                    "url": "https://staging.shop.example",
                }
            },
        ],
    )
    def test_they_are_dropped_in_any_nesting_and_the_rest_stays(self, document):
        kept, dropped = payload.without_credentials(document)

        text = json.dumps(kept)
        assert dropped
        assert not any(secret in text for secret in SECRETS.values())
        assert '"id": 5' in text
        assert "https://staging.shop.example" in text

    @pytest.mark.parametrize("document", [{"bug": {"username": "ann"}}, [], None, {"test_environment": {"id": 5}}])
    def test_what_is_no_staging_environment_is_left_alone(self, document):
        assert payload.without_credentials(document) == (document, False)

    @pytest.mark.parametrize(
        "body",
        [
            json.dumps({"test_environment": ENVIRONMENT}).encode()[:-1],
            json.dumps({"test_environment": ENVIRONMENT}, indent=2).encode() + b",",
            b'{"test_environment": {"username": "stager-5", "access":"vpn-key-77", "password": "hunter2-9',
            b'{"test_environment": {"password": "hunter2-9\\"hunter2-9", "username" : "stager-5"',
            b"{'test_environment': {'username': 'stager-5', 'password': 'hunter2-9', 'access': 'vpn-key-77'}}",
            b"{test_environment: {username: 'stager-5', password: hunter2-9, access: vpn-key-77}}",
        ],
    )
    def test_in_broken_json_they_are_blanked(self, body):
        kept = payload.scrub(body)

        assert b"test_environment" in kept
        assert not any(secret.encode() in kept for secret in SECRETS.values())

    def test_a_password_that_is_a_number_is_blanked_in_broken_json(self):
        assert b"771234" not in payload.scrub(b'{"test_environment": {"password": 771234, "id": 5')

    def test_broken_json_without_them_is_kept_as_it_came(self):
        body = b'{"bug": {"username": "ann"'

        assert payload.scrub(body) == body


def test_a_kept_body_is_read_as_it_was_received():
    body = b'{"event": "bug.exported", "bug": {"id": 7, "title": "Crash"}}'

    assert payload.read_kept("e9", "web", RECEIVED, body).bug == Bug(id=7, title="Crash")
