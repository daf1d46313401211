"""Asking for one tracker: its type, its settings, where its secrets are kept, and whether the doctor likes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from rich.text import Text

from bridge.app import Setup
from bridge.cli.asking import Asker
from bridge.cli.check import findings_of, look
from bridge.cli.given import with_trackers
from bridge.cli.new_config import Keeping, Kept, NewConfig
from bridge.config import problems_of
from bridge.dispatch import Tracking
from bridge.errors import ConfigError, Problem
from bridge.plugins import Plugins
from bridge.secrets import Secret
from bridge.tracker import TrackerSettings

_ALWAYS_ASKED = frozenset({"url", "folder"})
"""Settings with a default that are asked for all the same: they say where the tracker is."""

_MADE_UP = ("x", "x/x", "1")
"""For required settings that are not known yet, while others are looked up: one of them will do."""

_MOST_SHOWN = 30

_KEEPING = (
    ("file", "in a file beside the configuration that only you can read"),
    ("env", "in an environment variable that you set for the daemon"),
    ("here", "in the configuration itself, for everybody to read who may read that"),
)


def ask_tracker(asker: Asker, new: NewConfig, plugins: Plugins) -> str | None:
    """Ask for a tracker until the doctor finds it good; returns its name, None where the person gives up.

    Args:
        asker: Who answers.
        new: Where it is put.
        plugins: Which types there are.
    """
    kind = _ask_type(asker, plugins)
    name = _ask_name(asker, kind, new.trackers)
    model = plugins.types[kind].settings_type
    answers: dict[str, Any] = {}
    wanted = first_questions(model)
    while True:
        listed = plugins.types[kind].listed
        _ask_settings(asker, name, model, {key: wanted[key] for key in wanted if key not in listed}, answers)
        for setting in listed:
            new.trackers[name] = {"type": kind} | _typed(model, answers)
            answers[setting] = _ask_listed(asker, setting, model, answers, choices_of(name, setting, new, plugins))
        new.trackers[name] = {"type": kind} | _typed(model, answers)
        problems = _problems(name, new.trackers[name], model)
        if problems:
            for problem in problems:
                asker.show(Text(f"✗ {problem}", "red"))
        elif _is_good(asker, name, new, plugins):
            return name
        again = (("again", "answer again"), ("keep", "keep it as it is"), ("drop", "leave this tracker out"))
        options = [one for one in again if one[0] != "keep" or not problems]
        answer = asker.choice("And now?", options, "again")
        if answer != "again":
            if answer == "drop":
                del new.trackers[name]
            return name if answer == "keep" else None
        wanted = own_settings(model)


def own_settings(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the settings that a tracker type adds to those that every tracker has."""
    return {name: field for name, field in model.model_fields.items() if name not in TrackerSettings.model_fields}


def first_questions(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the settings to ask for first: what is required, where it is, and the credentials."""
    return {
        name: field
        for name, field in own_settings(model).items()
        if field.is_required() or name in _ALWAYS_ASKED or is_secret(field)
    }


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting holds a secret."""
    return Secret in (field.annotation, *get_args(field.annotation))


def needs_account(model: type[BaseModel]) -> bool:
    """Whether a tracker type has to be told anything; the one that needs nothing is what Enter means."""
    return any(field.is_required() or is_secret(field) for field in own_settings(model).values())


def _ask_type(asker: Asker, plugins: Plugins) -> str:
    usable = {
        name: plugins.types[name]
        for name in sorted(plugins.types, key=lambda one: (needs_account(plugins.types[one].settings_type), one))
        if not plugins.why_missing(name)
    }
    for name in sorted(set(plugins.types) - set(usable)):
        asker.show(Text(f"(not offered: {plugins.why_missing(name)})", "dim"))
    options = [(name, kind.label) for name, kind in usable.items()]
    return asker.choice("Which type of tracker?", options, options[0][0])


def _ask_name(asker: Asker, kind: str, taken: Iterable[str]) -> str:
    number, proposal = 1, kind
    while proposal in taken:
        number += 1
        proposal = f"{kind}-{number}"
    while True:
        name = asker.text("What do you call it?", proposal)
        if re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) and name not in taken:
            return name
        asker.show("A name of its own, please, of small letters, digits and hyphens.")


def _ask_settings(
    asker: Asker, tracker: str, model: type[BaseModel], wanted: Mapping[str, FieldInfo], answers: dict[str, Any]
) -> None:
    """Put an answer for each wanted setting into `answers`; what is left empty is left out."""
    given = False
    for name, field in wanted.items():
        if is_secret(field):
            if given and not field.is_required() and name not in answers:
                continue  # another kind of credential than the one that was given
            answer: Any = _ask_secret(asker, tracker, name, field, answers.get(name))
            given = given or answer is not None
        else:
            known = answers.get(name, "" if field.is_required() else field.default)
            default = "" if known is None else str(known)
            answer = asker.text(_question(name, field), default, required=field.is_required())
            answer = None if answer == default and name not in answers and not field.is_required() else answer
        if answer in (None, ""):
            answers.pop(name, None)
        else:
            answers[name] = answer


def choices_of(tracker: str, setting: str, new: NewConfig, plugins: Plugins) -> list[str]:
    """Return what a setting may be, as the tracker itself says; nothing where it does not tell.

    Args:
        tracker: Name of a tracker in `new`; what is required of it and not known yet is made up for the moment.
        setting: One of its type's `listed` settings.
        new: The configuration so far.
        plugins: Which types there are.
    """
    table = new.trackers[tracker]
    model = plugins.types[table["type"]].settings_type
    for made_up in _MADE_UP:
        missing = {name: made_up for name, field in own_settings(model).items() if field.is_required()}
        new.trackers[tracker] = {**missing, **table}
        try:
            setup = Setup(new.build(plugins, tracker), plugins)
        except ConfigError:
            continue
        try:
            found = with_trackers(setup, partial(_choices, tracker=tracker, setting=setting))
        except Exception:  # noqa: BLE001 - why, the doctor will say; a plugin's bug is no reason not to ask
            return []
        return sorted({id_: name for name, id_ in found.items()}.values(), key=str.casefold)
    return []


async def _choices(trackings: Mapping[str, Tracking], tracker: str, setting: str) -> Mapping[str, str]:
    return await trackings[tracker].tracker.choices(setting)


def _ask_listed(
    asker: Asker, name: str, model: type[BaseModel], answers: Mapping[str, Any], choices: Sequence[str]
) -> str:
    shown = choices[:_MOST_SHOWN]
    for number, choice in enumerate(shown, 1):
        asker.show(Text(f"  {number:>2}  {choice}"))
    if len(choices) > len(shown):
        asker.show(Text(f"      and {len(choices) - len(shown)} more", "dim"))
    how = " (number or name)" if choices else ""
    default = str(answers.get(name, "")) or (choices[0] if len(choices) == 1 else "")
    answer = asker.text(_question(name, model.model_fields[name]) + how, default, required=True)
    is_number = answer.isdecimal() and answer not in choices and 0 < int(answer) <= len(shown)
    return shown[int(answer) - 1] if is_number else answer


def _ask_secret(asker: Asker, tracker: str, name: str, field: FieldInfo, known: Kept | None) -> Kept | None:
    keep = " (Enter keeps the one you gave)" if known else "" if field.is_required() else " (Enter for none)"
    required = field.is_required() and known is None
    value = asker.text(_question(name, field) + keep, hidden=True, required=required)
    if not value:
        return known
    if known is not None:
        return Kept(value, known.keeping, known.name)
    keeping: Keeping = asker.choice("Where is it to be kept?", _KEEPING, "file")  # type: ignore[assignment]
    file = f"{tracker}-{name}".replace("_", "-")
    variable = file.replace("-", "_").upper()
    if keeping == "env":
        variable = asker.text("Name of the variable", variable)
    return Kept(value, keeping, variable if keeping == "env" else file)


def _question(name: str, field: FieldInfo) -> str:
    return f"{name}: {field.description}" if field.description else name


def _typed(model: type[BaseModel], answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers as TOML has them: a number is not a text."""
    kinds = {name: (field.annotation, *get_args(field.annotation)) for name, field in model.model_fields.items()}
    typed: dict[str, Any] = {}
    for name, answer in answers.items():
        if isinstance(answer, str) and int in kinds[name] and re.fullmatch(r"-?\d{1,18}", answer):
            typed[name] = int(answer)
        elif isinstance(answer, str) and bool in kinds[name] and answer.lower() in {"true", "false"}:
            typed[name] = answer.lower() == "true"
        else:
            typed[name] = answer
    return typed


def _problems(name: str, table: Mapping[str, Any], model: type[BaseModel]) -> list[Problem]:
    plain = {key: value.value if isinstance(value, Kept) else value for key, value in table.items()}
    try:
        model.model_validate(plain)
    except ValidationError as error:
        return problems_of(error, plain, model, "trackers", name)
    return []


def _is_good(asker: Asker, name: str, new: NewConfig, plugins: Plugins) -> bool:
    """Let the doctor look, and show what it finds."""
    asker.show(Text("The doctor looks …", "dim"))
    try:
        [report] = look(Setup(new.build(plugins, name), plugins), [name])
    except ConfigError as error:
        asker.show(Text(f"✗ {error}", "red"))
        return False
    asker.show(findings_of(report["findings"]))
    return bool(report["ok"])
