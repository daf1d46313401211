"""Logs: one line an event, for people on a terminal, as JSON otherwise, and never with a secret.

The convention: a part takes its logger (`structlog.get_logger("bridge.dispatch")`) as an argument, says in a few
plain words what changed, and puts what it is about into keys: `export`, `tracker`, `bug`, `attempt`, `connection`,
`issue`, `error`. An error that was expected (a `BridgeError`) is told in its own words, without a traceback.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from bridge.config import LogSettings
from bridge.errors import BridgeError
from bridge.secrets import HIDDEN, Redactor

_EXPORT_PATH = re.compile(r"(/(?:export|hooks)/[^/\s]+/)[^/\s\"'?#]+")
"""The secret of a connection is part of its address, and a wrong one may be somebody's password."""


def configure_logging(settings: LogSettings, redact: Redactor, stream: TextIO) -> None:
    """Send everything that is logged, by structlog and by the standard library, to `stream`.

    Called again after a reload, with the new secrets. Start uvicorn with `log_config=None, access_log=False`.

    Args:
        settings: Level and format.
        redact: Knows all secrets.
        stream: Usually standard error.
    """
    level = getattr(logging, settings.level.upper())
    human = settings.format == "human" or (settings.format == "auto" and stream.isatty())
    before = _describe(human=human)
    after = _render(redact, human=human, colors=human and stream.isatty())
    structlog.configure(
        processors=[*before, *after],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *names: _Lines(names[0] if names else "bridge", stream),
        cache_logger_on_first_use=False,  # a reload reaches every logger
    )
    _adopt_standard_logging(level, before, after, stream)


def mask_export_path(text: str) -> str:
    """Return `text` with what stands in the place of a connection's secret in an address taken out."""
    return _EXPORT_PATH.sub(rf"\1{HIDDEN}", text)


class _Lines:
    """Where structlog's lines end: a stream, with the logger's name."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name = name
        self._stream = stream

    def msg(self, line: str) -> None:
        with suppress(OSError):  # a full disk, a reader that went away: a line is lost, and nothing else
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = exception = log = msg


def _describe(*, human: bool) -> list[Processor]:
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human, key="time")
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        stamp,
    ]


def _render(redact: Redactor, *, human: bool, colors: bool) -> list[Processor]:
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if human:
        # The default would show the variables of every frame, secrets included.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=plain, timestamp_key="time", pad_event_to=0
        )
    return [_tell_expected_errors, structlog.processors.format_exc_info, _Redaction(redact), renderer]


def _adopt_standard_logging(level: int, before: list[Processor], after: list[Processor], stream: TextIO) -> None:
    """Route the loggers of libraries through the same steps; they only get to warn."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *after],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))  # below, SDKs and HTTP clients log headers and addresses
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.CRITICAL if name == "uvicorn.access" else logging.NOTSET)


def _tell_expected_errors(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Put the words of an expected error in the place of its traceback."""
    raised = event.get("exc_info")
    error = raised[1] if isinstance(raised, tuple) else sys.exc_info()[1] if raised is True else raised
    if isinstance(error, BridgeError):
        del event["exc_info"]
        event.setdefault("error", str(error))
    return event


class _Redaction:
    """Makes every value plain text or number, and takes the secrets out: of keys, values and tracebacks."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        return {self._plain(key): self._plain(value) for key, value in event.items()}

    def _plain(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self._plain(key): self._plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain(item) for item in value]
        return mask_export_path(self._redact(str(value)))
