"""Templates: sandboxed Jinja2, in which every value counts as a tester's text unless the template says `safe`."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup as Trusted

from bridge.errors import Problem, Rejected
from bridge.mapping.tags import TAGS, TEXT_TAGS, replaced, unknown
from bridge.mapping.text import OPEN, quote
from bridge.model import Attachment, Bug, Device, Export, Marker, Reporter
from bridge.tracker import TrackerSettings

DEFAULT_BODY = """\
{{ bug.description }}

### Steps to reproduce

{% for step in bug.steps %}
1. {{ step }}
{% endfor %}

### Expected result

{{ bug.expected_result }}

### Actual result

{{ bug.actual_result }}

### Environment

{{ bug.device }}

### Attachments

{% for file in bug.attachments %}
- [{{ file.name }}]({{ file.url }}){{ " (" ~ file.type ~ ")" if file.type else "" }}
{% endfor %}
"""
"""The body where `template` says nothing. The footer follows every body, whatever its template."""

Context = Mapping[str, Any]


class Templates:
    """Compiles templates of Markdown (bodies) and of text (everything else)."""

    def __init__(self) -> None:
        self._markdown = _environment(_in_markdown)
        self._text = _environment(_in_text)

    def markdown(self, source: str, name: str) -> Callable[[Context], str]:
        """Return what fills in a template of Markdown; testers' text in it is marked by `quote`."""
        return _filler(self._markdown.from_string(replaced(source, TAGS)), name)

    def text(self, source: str, name: str) -> Callable[[Context], str]:
        """Return what fills in a template of text."""
        if "{" not in source:
            return lambda _: source
        return _filler(self._text.from_string(replaced(source, TEXT_TAGS)), name)

    def problems(self, source: str, path: str) -> list[Problem]:
        """Return everything wrong with a template that shows without a bug."""
        found = [_unknown(f"%{{{tag}}}", tag, TAGS, path) for tag in unknown(source)]
        try:
            tree = self._text.parse(replaced(source, TEXT_TAGS))
            self._text.compile(tree)
        except TemplateSyntaxError as error:
            message = f"{error.message} (line {error.lineno} of the template)"
            return [*found, Problem(path, message)]
        known = _sample_context()
        names = sorted(find_undeclared_variables(tree) - known.keys())
        found += [_unknown(f"{{{{ {name} }}}}", name, known, path) for name in names]
        return found + [_unknown(shown, name, has, path) for shown, name, has in _missing(tree, known)]


def template_problems(settings: TrackerSettings, path: str) -> list[Problem]:
    """Return everything wrong with the templates of a tracker's settings, each with its path.

    Args:
        settings: The settings.
        path: Where they are: `trackers.web-jira`.
    """
    templates = Templates()
    return [
        problem for key, source in _sources(settings) for problem in templates.problems(source, f"{path}.{key}")
    ]


def _sources(settings: TrackerSettings) -> Iterator[tuple[str, str]]:
    yield "title", settings.title
    yield "template", settings.template or ""
    yield "assignee", settings.assignee
    yield "parent", settings.parent
    yield from _texts("labels", settings.labels or ())
    yield from _texts("fields", settings.fields)


def _texts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(f"{path}.{key}", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _texts(f"{path}.{index}", item)


def _environment(finalize: Callable[[Any], str]) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, finalize=finalize, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    encode = environment.filters["urlencode"]
    environment.filters["urlencode"] = lambda value: Trusted(encode(value))  # noqa: S704 - letters, digits, %
    return environment


def _in_markdown(value: Any) -> str:
    """Numbers, trusted text, and what a template put together of quoted text already, go in as they are."""
    if isinstance(value, Trusted) or (isinstance(value, int | float) and not isinstance(value, enum.Enum)):
        return str(value)
    text = _in_text(value)
    return text if OPEN in text else quote(text)


def _in_text(value: Any) -> str:
    if value is None:
        return ""
    return "\n".join(map(_in_text, value)) if isinstance(value, list | tuple) else str(value)


def _filler(template: Template, name: str) -> Callable[[Context], str]:
    def fill(context: Context) -> str:
        try:
            return template.render(context)
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            words = getattr(error, "message", None) or error
            raise Rejected(f'the template "{name}" cannot be filled in: {words}') from None

    return fill


def _unknown(shown: str, name: str, known: Iterable[str], path: str) -> Problem:
    close = difflib.get_close_matches(name, list(known), n=1)
    hint = f", did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(known))}"
    return Problem(path, f"{shown} is not known{hint}")


def _missing(tree: nodes.Template, known: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each attribute that our data do not have: as written, its name, and the names there are."""
    values = dict(known)
    for node in tree.find_all((nodes.For, nodes.Assign, nodes.Getattr)):
        if isinstance(node, nodes.For) and isinstance(node.target, nodes.Name):
            items = _value(node.iter, values)
            values[node.target.name] = items[0] if isinstance(items, tuple) and items else None
        elif isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name):
            values[node.target.name] = _value(node.node, values)
        elif isinstance(node, nodes.Getattr):
            owner = _value(node.node, values)
            if is_dataclass(owner) and not hasattr(owner, node.attr):
                yield f"{{{{ {_written(node)} }}}}", node.attr, _names(owner)


def _value(node: nodes.Node, values: Mapping[str, Any]) -> Any:
    """Return what an expression is for the sample bug, as far as that is plain to see; else None."""
    match node:
        case nodes.Name():
            return values.get(node.name)
        case nodes.Getattr():
            return getattr(_value(node.node, values), node.attr, None)
        case nodes.Getitem(arg=nodes.Const(value=int() as index)):
            items = _value(node.node, values)
            return items[index] if isinstance(items, tuple) and index < len(items) else None
        case _:
            return None


def _written(node: nodes.Node) -> str:
    if isinstance(node, nodes.Getattr):
        return f"{_written(node.node)}.{node.attr}"
    return node.name if isinstance(node, nodes.Name) else "..."


def _names(owner: Any) -> list[str]:
    properties = [name for name, value in vars(type(owner)).items() if isinstance(value, property)]
    return [field.name for field in dataclass_fields(owner)] + properties


def _sample_context() -> dict[str, Any]:
    """Return a context in which nothing is missing."""
    now = datetime.fromtimestamp(0, UTC)
    bug = Bug(
        id=1, title="title", steps=("step",), attachments=(Attachment(url="https://files.test.io/a.png"),),
        device=Device(), reporter=Reporter(),
    )  # fmt: skip
    export = Export(id="export", connection="connection", event="bug.exported", received_at=now, bug=bug)
    return {"bug": bug, "export": export, "marker": Marker.of(1, now)}
