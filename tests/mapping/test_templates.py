"""Templates: what their authors can say, and that nobody else can say anything in them."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.errors import ConfigError, Rejected
from bridge.mapping import DEFAULT_BODY, Mapper, template_problems
from bridge.model import Attachment, Device, Markup
from bridge.tracker import TrackerSettings

FOOTER = (
    "\n\n---\n\nReported via test IO: <https://app.test.io/bugs/12345> (severity: high, priority: p2)"
    "\n\n<!-- testio-bug-12345 -->"
)


def problems(**settings: Any) -> list[str]:
    return [str(problem) for problem in template_problems(TrackerSettings(type="x", **settings), "trackers.x")]


def body(draft: Any, template: str, **bug: Any) -> str:
    """Return the rendered body above the footer."""
    text: str = draft(template=template, bug=bug).body.text
    return re.split("(?:---\n\n)?Reported via test IO", text)[0].rstrip()


def test_the_documented_bug_in_the_default_template(draft: Any) -> None:
    assert draft().body.text == (
        "Observed wrong total after applying promo code.\n\n"
        "### Steps to reproduce\n\n1. Add item to cart\n2. Apply PROMO20\n3. Proceed to checkout\n\n"
        "### Expected result\n\n20% discount applied to subtotal\n\n"
        "### Actual result\n\n10% discount applied\n\n"
        "### Environment\n\nmobile, ios 17.2, safari\n\n"
        "### Attachments\n\n- [abc.png](https://files.test.io/attachments/abc.png) (image/png)\n"
        "- [repro.mp4](https://files.test.io/attachments/repro.mp4) (video/mp4)" + FOOTER
    )


def test_a_footer_follows_every_template(draft: Any) -> None:
    assert draft(template="Look: {{ bug.title }}").body.text == "Look: Checkout total is incorrect" + FOOTER


def test_a_bug_with_nothing_but_a_title_has_no_headings(draft: Any) -> None:
    nothing = {
        "description": "", "steps": (), "expected_result": " \n", "actual_result": "", "device": Device(),
        "attachments": (), "priority": "", "severity": "",
    }  # fmt: skip

    assert draft(bug=nothing).body.text == (
        "Reported via test IO: <https://app.test.io/bugs/12345>\n\n<!-- testio-bug-12345 -->"
    )


def test_a_bug_without_a_link_is_named(draft: Any) -> None:
    assert "Reported via test IO: bug 12345 (severity" in draft(bug={"link": ""}).body.text


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("## A\n\n{{ bug.description }}\n\n## B\n\ntext", "## B\n\ntext"),
        ("# All\n\n## A\n\n{{ bug.description }}", ""),
        ("# All\n\n## A\n\n{{ bug.description }}\n\n## B\n\ntext", "# All\n\n## B\n\ntext"),
        ("text\n\n## A\n\n---\n\n## B", "text"),
        ("## {{ bug.description }}\n\ntext", "text"),
        ("- {{ bug.description }}\n- b", "- b"),
        ("## A\n\n> {{ bug.description }}\n\n## B\n\n**{{ bug.description }}**", ""),
        ("| a | b |\n|---|---|\n| {{ bug.description }} | |", ""),
        ("```\n{{ bug.description }}\n```", ""),
    ],
)
def test_empty_parts_vanish_from_any_template(template: str, rendered: str, draft: Any) -> None:
    assert body(draft, template, description="") == rendered


def test_template_syntax_in_a_testers_text_is_text(draft: Any) -> None:
    made = draft(Markup.PLAIN, bug={"title": "{{ bug.id }} %{title} {% for %}", "description": "{{ 7*7 }} %{id}"})

    assert made.title == "{{ bug.id }} %{title} {% for %}"
    assert made.body.text.startswith("{{ 7*7 }} %{id}\n")


def test_what_a_template_captures_is_quoted_once(draft: Any) -> None:
    template = "{% macro row(name, value) %}**{{ name }}**: {{ value }}{% endmacro %}{{ row('A', bug.title) }}"

    assert body(draft, template, title="a_b # *c*") == r"**A**: a\_b # *c*"


def test_an_author_can_trust_a_text(draft: Any) -> None:
    assert body(draft, "{{ bug.description | safe }}", description="# Heading\n\n@qa") == "# Heading\n\n@qa"


def test_a_testers_text_stays_in_the_item_it_is_put_into(draft: Any) -> None:
    text = body(draft, "- {{ bug.description }}\n- end", description="a\n\nb\n\n```\nc\n```")

    assert text == "- a\n\n  b\n\n  ```\n  c\n  ```\n- end"


def test_a_value_can_be_part_of_an_address(draft: Any) -> None:
    template = "https://shop.test/?q={{ bug.title | urlencode }}&id={{ bug.id }}"

    assert body(draft, template, title="a b&c") == "<https://shop.test/?q=a%20b%26c&id=12345>"


def test_export_marker_and_extra_fields_are_there(draft: Any) -> None:
    template = "{{ export.connection }} {{ marker.text }} {{ bug.extra.location }}"

    assert body(draft, template, extra={"location": "/cart"}) == "web-shop testio-bug-12345 /cart"


def test_plain_mode_takes_nothing_for_markdown(draft: Any) -> None:
    text = draft(bug={"description": "*a* `b`\n- c\n[d](x) https://s.test/e"}, text="plain").body.text

    assert text.startswith("\\*a\\* \\`b\\`  \n\\- c  \n\\[d\\](x) <https://s.test/e>\n")


TAGS = {
    "%{title}": "Checkout total is incorrect",
    "%{author}": "QA Tester",
    "%{severity}": "high",
    "%{bug_type}": "functional",
    "%{bug_description}": "Observed wrong total after applying promo code.",
    "%{steps}": "1. Add item to cart\n2. Apply PROMO20\n3. Proceed to checkout",
    "%{expected_result}": "20% discount applied to subtotal",
    "%{actual_result}": "10% discount applied",
    "%{attachments}": "- [abc.png](https://files.test.io/attachments/abc.png)\n"
    "- [repro.mp4](https://files.test.io/attachments/repro.mp4)",
    "%{environment}": "mobile, ios 17.2, safari",
    "%{testio_idx}": "12345",
    "%{bug_url}": "<https://app.test.io/bugs/12345>",
    "%{test_cycle_id}": "7777",
}


@pytest.mark.parametrize(("tag", "rendered"), TAGS.items())
def test_test_ios_own_tags_work_as_they_are(tag: str, rendered: str, draft: Any) -> None:
    assert body(draft, tag) == rendered


@pytest.mark.parametrize(
    "tag",
    [
        "feature", "product_title", "section_title", "submission_date", "environment_title", "environment_url",
        "environment_username", "environment_password", "environment_access", "url", "test_cycle_url",
    ],
)  # fmt: skip
def test_tags_without_data_in_an_export_are_empty(tag: str, draft: Any) -> None:
    secret = {"username": "u", "password": "p", "environment_password": "p", tag: "p"}

    assert body(draft, f"## A\n\n%{{{tag}}}", extra=secret) == ""


def test_tags_in_a_title_or_field_make_text(draft: Any) -> None:
    made = draft(title="[%{severity}] %{title}", fields={"repro": "%{steps}", "files": "%{attachments}"})

    assert made.title == "[high] Checkout total is incorrect"
    assert made.fields["repro"] == "1. Add item to cart\n2. Apply PROMO20\n3. Proceed to checkout"
    assert made.fields["files"].splitlines() == [file.url for file in made.attachments]


def test_every_problem_has_its_path_and_a_hint() -> None:
    assert problems(
        title="{{ bug.titel }}",
        template="a\n{% if %}",
        labels=("ok", "%{sevrity}"),
        assignee="{{ bgu.title }}",
        parent="{{ bug.device.borwser }}",
        fields={"x": {"value": "{{ bug.title | uper }}"}, "y": [1, "{{ export.bug.stepz }}"]},
    ) == [
        "trackers.x.title: {{ bug.titel }} is not known, did you mean title?",
        "trackers.x.template: Expected an expression, got 'end of statement block' (line 2 of the template)",
        "trackers.x.assignee: {{ bgu }} is not known, did you mean bug?",
        "trackers.x.parent: {{ bug.device.borwser }} is not known, did you mean browser?",
        "trackers.x.labels.1: %{sevrity} is not known, did you mean severity?",
        "trackers.x.fields.x.value: No filter named 'uper'. (line 1 of the template)",
        "trackers.x.fields.y.1: {{ export.bug.stepz }} is not known, did you mean steps?",
    ]


@pytest.mark.parametrize(
    "template",
    [
        "{% for file in bug.attachments %}{{ file.nam }}{% endfor %}",
        "{% set file = bug.attachments[0] %}{{ file.nam }}",
        "{% if bug.severity == 'never' %}{{ bug.attachments[0].nam }}{% endif %}",
    ],
)
def test_names_are_checked_in_loops_and_branches_too(template: str) -> None:
    assert len(problems(template=template)) == 1
    assert problems(template=template)[0].endswith("is not known, did you mean name?")


@pytest.mark.parametrize("template", [DEFAULT_BODY, "{{ bug.extra.location }}", "{{ bug.device }}", *TAGS])
def test_good_templates_have_no_problems(template: str) -> None:
    assert problems(template=template) == []


def test_a_mapper_of_wrong_templates_says_all_of_it(tracker: Any) -> None:
    with pytest.raises(ConfigError) as error:
        Mapper(tracker(title="{{ bug.titel }}", assignee="{{"))

    assert [problem.path for problem in error.value.problems] == [
        "trackers.web-paper.title",
        "trackers.web-paper.assignee",
    ]


def test_a_template_that_this_bug_cannot_fill_in_is_a_refusal_that_names_it(draft: Any) -> None:
    with pytest.raises(Rejected, match=r'the template "fields\.a\.b" cannot be filled in: .*location'):
        draft(fields={"a": {"b": "{{ bug.extra.location }}"}})


@pytest.mark.parametrize("template", ["{{ bug.__class__.__mro__ }}", "{{ ''.__class__ }}", "{{ bug.steps[9] }}"])
def test_templates_reach_nothing_but_the_bug(template: str, draft: Any) -> None:
    with pytest.raises(Rejected):
        draft(template=template)


def test_attachments_none_leaves_the_section_and_the_files_out(draft: Any) -> None:
    made = draft(attachments="none")

    assert made.attachments == ()
    assert "Attachments" not in made.body.text


@pytest.mark.parametrize("setting", ["upload", "link"])
def test_attachments_are_listed_with_links(setting: str, draft: Any) -> None:
    made = draft(attachments=setting, bug={"attachments": (Attachment(url="https://f.test/a%20b.log"),)})

    assert "### Attachments\n\n- [a b.log](https://f.test/a%20b.log)\n" in made.body.text
    assert len(made.attachments) == 1


def test_dates_can_be_formatted(draft: Any) -> None:
    assert body(draft, "{{ export.exported_at.strftime('%Y') }}") == str(datetime(2026, 1, 1, tzinfo=UTC).year)
