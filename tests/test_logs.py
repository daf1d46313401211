"""Logs: one line an event, readable by people or machines, and never a secret in any of them."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from bridge.config import LogSettings
from bridge.errors import Rejected
from bridge.logs import configure_logging
from bridge.secrets import Redactor

SECRET = "hush-hush-hush"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def configure():
    """Configures logging to a stream, and puts everything back afterwards."""
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn.access")
    before = (root.handlers[:], root.level, uvicorn.level)

    def configure(stream=None, **settings):
        stream = stream or io.StringIO()
        configure_logging(LogSettings(**settings), Redactor([SECRET]), stream)
        return stream

    yield configure
    structlog.reset_defaults()
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    uvicorn.setLevel(before[2])


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_state_change_is_one_json_line_with_what_it_is_about(configure):
    stream = configure()

    structlog.get_logger("bridge.dispatch").info("delivered", export="e1", tracker="web", bug=7, attempt=2)

    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "delivered",
        "level": "info",
        "logger": "bridge.dispatch",
        "export": "e1",
        "tracker": "web",
        "bug": 7,
        "attempt": 2,
    }


def test_a_terminal_gets_lines_for_people(configure):
    stream = configure(Terminal())

    structlog.get_logger("bridge.dispatch").info("delivered", tracker="web")

    assert "delivered" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()
    with pytest.raises(ValueError, match=r"Expecting value|Extra data"):
        json.loads(stream.getvalue())


def test_the_format_can_be_forced(configure):
    stream = configure(format="human")
    structlog.get_logger().info("delivered", tracker="web")
    assert "tracker=web" in stream.getvalue()

    terminal = configure(Terminal(), format="json")
    structlog.get_logger().info("delivered", tracker="web")
    assert lines(terminal)[0]["tracker"] == "web"


def test_lines_below_the_level_are_left_out(configure):
    stream = configure(level="warning")

    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert [line["event"] for line in lines(stream)] == ["loud"]


@pytest.mark.parametrize("form", ["human", "json"])
class TestSecrets:
    def test_none_in_event_keys_values_or_deep_inside(self, configure, form):
        stream = configure(format=form)

        structlog.get_logger().info(
            f"event {SECRET}", **{SECRET: 1}, value=SECRET, deep=[{"a": (f"x{SECRET}x",)}], odd=ValueError(SECRET)
        )

        assert "[secret]" in stream.getvalue()
        assert SECRET not in stream.getvalue()

    def test_none_in_a_traceback_nor_in_its_variables(self, configure, form):
        stream = configure(format=form)

        try:
            local = SECRET
            raise RuntimeError(f"refused {local}")
        except RuntimeError:
            structlog.get_logger().exception("unexpected")

        assert "RuntimeError: refused [secret]" in stream.getvalue()
        assert SECRET not in stream.getvalue()

    def test_none_from_the_loggers_of_libraries(self, configure, form):
        stream = configure(format=form)

        try:
            raise OSError(SECRET)
        except OSError:
            logging.getLogger("some.sdk").exception("cannot send %s", SECRET)

        assert "cannot send [secret]" in stream.getvalue()
        assert SECRET not in stream.getvalue()

    def test_what_stands_in_the_place_of_a_connections_secret_is_masked_even_when_unknown(self, configure, form):
        stream = configure(format=form)

        logging.getLogger("uvicorn.error").warning("bad request: POST /export/shop/some-password?x=1 HTTP/1.1")
        structlog.get_logger().info("refused", path="http://bridge/export/shop/some-password")

        assert stream.getvalue().count("/export/shop/[secret]") == 2
        assert "some-password" not in stream.getvalue()


def test_an_expected_error_is_told_in_its_words_without_a_traceback(configure):
    stream = configure()

    try:
        raise Rejected("no such project", status=422)
    except Rejected as error:
        structlog.get_logger().error("dead", exc_info=True)
        structlog.get_logger().error("dead", exc_info=error)

    for line in lines(stream):
        assert line["error"] == "no such project (HTTP 422)"
        assert "exception" not in line
        assert "exc_info" not in line


def test_libraries_only_get_to_warn(configure):
    """At `info` HTTP clients log every address, at `debug` headers with credentials."""
    stream = configure(level="debug")

    logging.getLogger("some.sdk").info("GET https://tracker.example/?key=1")
    logging.getLogger("uvicorn.access").warning("127.0.0.1 POST /export/shop/x")

    assert stream.getvalue() == ""


def test_a_second_call_brings_new_secrets_to_loggers_that_exist_already(configure):
    stream = configure()
    log = structlog.get_logger("bridge.dispatch")
    log.info("new-secret-word")

    configure_logging(LogSettings(), Redactor(["new-secret-word"]), stream)
    log.info("new-secret-word")
    logging.getLogger("sdk").warning("new-secret-word")

    assert [line["event"] for line in lines(stream)] == ["new-secret-word", "[secret]", "[secret]"]
