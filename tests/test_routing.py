"""Which trackers an export goes to, and what a re-export does there."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.config import Conditions, Config, RouteSettings
from bridge.model import Device, Kind, Level
from bridge.routing import Destination, Router, matches
from bridge.testing import sample_bug, sample_export
from bridge.tracker import TrackerSettings

TRACKERS = {name: TrackerSettings(type="x") for name in ("a", "b", "c")}


def destinations(*routes: dict[str, Any], also: tuple[str, ...] = (), **bug: Any) -> tuple[Destination, ...]:
    """Where the sample export (of connection `web-shop`) goes."""
    config = Config(routes=tuple(RouteSettings.model_validate(route) for route in routes), trackers=TRACKERS)
    return Router(config, lambda _export: also).destinations("web-shop", lambda: sample_export(sample_bug(**bug)))


def names(*routes: dict[str, Any], **arguments: Any) -> list[str]:
    return [to.tracker for to in destinations(*routes, **arguments)]


class TestConditions:
    @pytest.mark.parametrize(
        ("when", "bug"),
        [
            ({}, {}),
            ({"product_id": 1}, {"product_id": 1}),
            ({"product_id": [1, 2]}, {"product_id": 2}),
            ({"test_cycle_id": 7}, {"test_cycle_id": 7}),
            ({"severity": "Visual"}, {"severity": "visual"}),
            ({"severity": ["low", "high"]}, {"severity": "high"}),
            ({"level": "critical"}, {"level": Level.CRITICAL}),
            ({"kind": ["visual", "content"]}, {"kind": Kind.CONTENT}),
            ({"priority": "P1"}, {"priority": "p1"}),
            ({"status": "accepted"}, {"status": "accepted"}),
            ({"os": "iOS"}, {"device": Device(os="ios")}),
            ({"device_type": "mobile"}, {"device": Device(device_type="Mobile")}),
            ({"browser": "safari"}, {"device": Device(browser="Safari")}),
            ({"os": "ios", "level": "high"}, {"device": Device(os="ios"), "level": Level.HIGH}),
        ],
    )
    def test_they_hold(self, when, bug):
        assert matches(Conditions.model_validate(when), sample_bug(**bug))

    @pytest.mark.parametrize(
        ("when", "bug"),
        [
            ({"product_id": 1}, {"product_id": 2}),
            ({"product_id": 1}, {"product_id": None}),
            ({"severity": "high"}, {"severity": ""}),
            ({"level": "critical"}, {"level": Level.LOW}),
            ({"os": "ios"}, {"device": Device(os="ios 17")}),
            ({"os": "ios", "level": "high"}, {"device": Device(os="ios"), "level": Level.LOW}),
        ],
    )
    def test_one_that_does_not_is_enough(self, when, bug):
        assert not matches(Conditions.model_validate(when), sample_bug(**bug))


class TestRoutes:
    def test_without_any_an_export_goes_nowhere(self):
        assert names() == []

    def test_every_one_that_matches_counts_and_each_tracker_once(self):
        routes = (
            {"trackers": ["b", "a"]},
            {"trackers": ["a", "c"]},
            {"trackers": "c", "when": {"product_id": 99}},
        )

        assert names(*routes) == ["b", "a", "c"]

    def test_one_may_be_for_some_connections_only(self):
        routes = ({"trackers": "a", "connections": "web-shop"}, {"trackers": "b", "connections": ["app", "api"]})

        assert names(*routes) == ["a"]

    def test_the_first_that_names_a_tracker_decides_what_a_re_export_does_there(self):
        first = {"name": "one", "trackers": "a", "on_reexport": "update", "update_fields": ["title", "body"]}
        second = {"name": "two", "trackers": ["a", "b"], "on_reexport": "new"}

        assert destinations(first, second) == (
            Destination(tracker="a", route="one", on_reexport="update", update_fields=("body", "title")),
            Destination(tracker="b", route="two", on_reexport="new", update_fields=("body", "title")),
        )

    def test_otherwise_means_where_no_other_matched(self):
        fallback = {"trackers": "b", "otherwise": True}

        assert names(fallback, {"trackers": "a"}) == ["a"]
        assert names(fallback, {"trackers": "a", "when": {"product_id": 99}}) == ["b"]
        assert names(fallback, {"trackers": "a", "connections": "app"}) == ["b"]

    def test_otherwise_may_have_conditions_as_well(self):
        assert names({"trackers": "b", "otherwise": True, "when": {"product_id": 99}}) == []


class TestPlugins:
    def test_what_they_want_comes_on_top(self):
        assert destinations({"trackers": "a"}, also=("b",)) == (
            Destination(tracker="a", update_fields=("body", "title")),
            Destination(tracker="b", route="plugin"),
        )

    def test_they_cannot_change_what_a_route_says(self):
        (to,) = destinations({"name": "mine", "trackers": "a", "on_reexport": "new"}, also=("a",))

        assert (to.route, to.on_reexport) == ("mine", "new")

    def test_trackers_that_do_not_exist_are_passed_over(self):
        assert names(also=("nowhere", "c")) == ["c"]

    def test_they_see_the_export(self):
        router = Router(Config(trackers=TRACKERS), lambda export: ["b"] if export.bug.id == 12345 else ["c"])

        assert [to.tracker for to in router.destinations("web-shop", sample_export)] == ["b"]

    def test_without_them_and_without_conditions_nobody_reads_the_export(self):
        def read():
            raise AssertionError("nobody needs to know what is in it")

        router = Router(Config(routes=(RouteSettings(trackers=("a",)),), trackers=TRACKERS))

        assert [to.tracker for to in router.destinations("web-shop", read)] == ["a"]
