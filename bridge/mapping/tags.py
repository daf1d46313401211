"""test IO's own template tags (`%{title}`, ...), so that a template of its integrations can be pasted over.

https://guides.test.io/docs/jira_cloud lists them.
"""

from __future__ import annotations

import re

_STEPS = "\n\n{% for step in bug.steps %}{{ loop.index }}. {{ step }}\n{% endfor %}\n\n"
_ATTACHMENTS = "\n\n{% for file in bug.attachments %}- [{{ file.name }}]({{ file.url }})\n{% endfor %}\n\n"

TAGS = {
    "title": "{{ bug.title }}",
    "author": "{{ bug.reporter.name }}",
    "severity": "{{ bug.severity }}",
    "bug_type": "{{ '' if bug.kind == 'unknown' else bug.kind }}",
    "bug_description": "{{ bug.description }}",
    "steps": _STEPS,
    "expected_result": "{{ bug.expected_result }}",
    "actual_result": "{{ bug.actual_result }}",
    "attachments": _ATTACHMENTS,
    "environment": "{{ bug.device }}",
    "testio_idx": "{{ bug.id }}",
    "bug_url": "{{ bug.link }}",
    "test_cycle_id": "{{ bug.test_cycle_id }}",
    # an export does not say these
    "feature": "",
    "product_title": "",
    "section_title": "",
    "submission_date": "",
    "environment_title": "",
    "environment_url": "",
    "url": "",
    "test_cycle_url": "",
    # the customer's staging credentials: never, even if an export said them
    "environment_username": "",
    "environment_password": "",
    "environment_access": "",
}
"""Each tag, and what it is in our own templates."""

TEXT_TAGS = TAGS | {
    "steps": "{% for step in bug.steps %}{{ loop.index }}. {{ step }}\n{% endfor %}",
    "attachments": "{% for file in bug.attachments %}{{ file.url }}\n{% endfor %}",
}
"""The same for templates that make text instead of Markdown."""

_TAG = re.compile(r"%\{(\w+)\}")


def replaced(template: str, tags: dict[str, str]) -> str:
    """Return `template` with every tag that we know written as one of ours."""
    return _TAG.sub(lambda match: tags.get(match[1], match[0]), template)


def unknown(template: str) -> list[str]:
    """Return the tags of `template` that do not exist."""
    return [name for name in _TAG.findall(template) if name not in TAGS]
