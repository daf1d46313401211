"""Plugins: found in both ways, told apart, and unable to harm an export or one another."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import PluginError
from bridge.hookspecs import PROJECT, hookimpl
from bridge.model import Body, Bug, Draft, Export, Issue, Marker, Markup
from bridge.plugins import Plugins
from bridge.tracker import Tracker, TrackerSettings

BUG = Bug(id=7, title="Button is missing")
EXPORT = Export(
    id="e1", connection="shop", event="bug.exported", received_at=datetime(2026, 1, 1, tzinfo=UTC), bug=BUG
)
DRAFT = Draft(
    title=BUG.title,
    body=Body(Markup.GFM, "text"),
    marker=Marker.of(7, EXPORT.received_at),
    bug=BUG,
    labels=("test-io",),
)
DELIVERED: dict[str, Any] = {
    "export_id": "e1",
    "tracker": "web",
    "bug_id": 7,
    "issue": Issue(id="1", key="WEB-1", url="https://t.example/1"),
    "action": "created",
}


def tracker_type(name: str, **attributes: object) -> type[Tracker]:
    """A tracker class of the type `name`."""

    async def nothing(self, *_):
        return None

    body = {"type": name, "label": name, "settings_type": TrackerSettings, "markup": Markup.GFM}
    return type("Made", (Tracker,), {**body, "check": nothing, "create": nothing, **attributes})


def plugin(**functions: Callable[..., object]) -> object:
    """A plugin object with these functions as hooks."""
    return type("Plugin", (), {name: hookimpl(staticmethod(function)) for name, function in functions.items()})()


def bringing(*types: object) -> object:
    return plugin(bridge_trackers=lambda: types)


def load(**objects: object) -> Plugins:
    return Plugins.load(entry_points=[], objects={name.replace("_", "-"): one for name, one in objects.items()})


class Distributions:
    """Makes distributions with one entry point, on disk and importable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, name: str, module: str, source: str, *, point: str = "", metadata: str = "") -> EntryPoint:
        (self.folder / f"{module}.py").write_text(source)
        info = self.folder / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n{metadata}\n")
        (info / "entry_points.txt").write_text(f"[{PROJECT}]\n{point or name} = {module}\n")
        (found,) = PathDistribution(info).entry_points
        return found


@pytest.fixture
def distributions(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield Distributions(tmp_path)
    for name in set(sys.modules) - before:
        del sys.modules[name]


TRACKER_SOURCE = """
from bridge import Markup, Tracker, TrackerSettings, hookimpl

class Shelf(Tracker[TrackerSettings]):
    type, label, settings_type, markup = "shelf", "Shelf", TrackerSettings, Markup.GFM
    async def check(self): ...
    async def create(self, draft): ...

@hookimpl
def bridge_trackers():
    return [Shelf]
"""


class TestFinding:
    def test_the_built_in_trackers_come_by_the_same_way_as_anybodys(self):
        plugins = Plugins.load()

        assert {"files", "github", "gitlab", "jira-cloud", "jira-server"} <= set(plugins.types)
        assert {info.distribution for info in plugins.infos} >= {"tracker-bridge"}

    def test_finding_them_imports_no_sdk(self):
        code = (
            "import sys; from bridge.plugins import Plugins; Plugins.load(); "
            "print(sorted({'github', 'gitlab', 'jira', 'requests'} & set(sys.modules)))"
        )
        output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

        assert output.strip() == "[]"

    def test_an_installed_one_is_listed_with_version_hooks_and_types(self, distributions):
        point = distributions.make("acme-shelf", "acme_shelf", TRACKER_SOURCE)

        (info,) = Plugins.load(entry_points=[point]).infos

        assert (info.name, info.distribution, info.version) == ("acme-shelf", "acme-shelf", "1.2")
        assert (info.hooks, info.types, info.error) == (("bridge_trackers",), ("shelf",), "")

    def test_a_single_file_in_a_folder_is_a_plugin(self, tmp_path):
        (tmp_path / "shelf.py").write_text("from __future__ import annotations\n" + TRACKER_SOURCE)
        (tmp_path / "_helper.py").write_text("raise RuntimeError('not a plugin')")

        plugins = Plugins.load(tmp_path, entry_points=[])

        assert [info.name for info in plugins.infos] == ["shelf"]
        assert list(plugins.types) == ["shelf"]

    def test_a_missing_folder_is_told(self, tmp_path):
        with pytest.raises(PluginError, match=r"correct \[plugins\] folder"):
            Plugins.load(tmp_path / "nope", entry_points=[])

    def test_a_disabled_one_is_not_even_imported(self, distributions):
        point = distributions.make("acme-shelf", "acme_shelf", "raise SystemExit(3)")

        (info,) = Plugins.load(disabled=["acme-shelf"], entry_points=[point]).infos

        assert info.disabled
        assert info.error == ""

    def test_disabling_what_is_not_there_is_visible(self):
        plugins = Plugins.load(disabled=["shlef"], entry_points=[], objects={"shelf": bringing()})

        assert plugins.infos[-1].error == 'there is no such plugin; did you mean "shelf"?'


class TestBroken:
    @pytest.mark.parametrize(
        ("source", "error"),
        [
            ("import no_such_sdk", "ModuleNotFoundError: No module named 'no_such_sdk'"),
            ("raise SystemExit(3)", "SystemExit: 3"),
            ("def (", "SyntaxError: invalid syntax (acme_shelf.py, line 1)"),
            ("raise ValueError('first line\\nsecond line')", "ValueError: first line"),
        ],
    )
    def test_one_that_cannot_be_imported_is_kept_with_its_error(self, distributions, source, error):
        point = distributions.make("acme-shelf", "acme_shelf", source)

        plugins = Plugins.load(entry_points=[point], objects={"other": bringing(tracker_type("rack"))})

        assert plugins.infos[0].error == error
        assert list(plugins.types) == ["rack"]

    @pytest.mark.parametrize(
        ("returned", "error"),
        [
            ("shelf", "TypeError: bridge_trackers returned 's', which is no Tracker class"),
            ([tracker_type("x", settings_type=dict)], "TypeError: Made.settings_type must be a subclass"),
            (None, "TypeError: 'NoneType' object is not iterable"),
        ],
    )
    def test_one_whose_trackers_are_none_is_kept_with_its_error(self, returned, error):
        plugins = load(shelf=plugin(bridge_trackers=lambda: returned, bridge_route=lambda: ["web"]))

        assert plugins.infos[0].error.startswith(error)
        assert plugins.route(EXPORT) == []

    def test_a_hook_with_an_argument_that_does_not_exist_is_told(self):
        plugins = load(shelf=plugin(bridge_prepare=lambda draft: None, bridge_route=lambda bug: ["web"]))

        assert "'bug'" in plugins.infos[0].error
        assert plugins.route(EXPORT) == []


class TestMisunderstandings:
    def test_a_misspelt_hook_is_an_error_naming_plugin_and_hook(self):
        with pytest.raises(PluginError) as caught:
            load(shelf=plugin(bridge_recieved=lambda export: None))

        assert str(caught.value) == (
            'plugin "shelf": there is no hook bridge_recieved; did you mean "bridge_received"?'
        )

    def test_a_hook_without_its_mark_is_an_error(self, tmp_path):
        (tmp_path / "shelf.py").write_text("def bridge_route(export):\n    return ['web']\n")

        with pytest.raises(PluginError, match="bridge_route is never called: mark it with @hookimpl"):
            Plugins.load(tmp_path, entry_points=[])

    def test_a_hook_whose_result_is_needed_must_not_be_async(self):
        async def bridge_route(export):
            return ["web"]

        with pytest.raises(PluginError, match="bridge_route must not be async"):
            load(shelf=plugin(bridge_route=bridge_route))

    def test_a_wrapper_is_refused(self):
        class Wrapping:
            @hookimpl(wrapper=True)
            def bridge_route(self):
                return (yield)

        with pytest.raises(PluginError, match="must be a plain hook"):
            load(shelf=Wrapping())

    def test_two_plugins_with_one_type_name_are_both_named(self, distributions):
        ours = distributions.make("acme-shelf", "acme_shelf", TRACKER_SOURCE, point="shelf")
        theirs = distributions.make("other-shelf", "other_shelf", TRACKER_SOURCE, point="shelf")

        with pytest.raises(PluginError) as caught:
            Plugins.load(entry_points=[ours, theirs])

        assert 'plugin "shelf" (acme-shelf 1.2) and plugin "shelf" (other-shelf 1.2)' in str(caught.value)


class TestNeeding:
    def test_a_type_that_is_there(self):
        shelf = tracker_type("shelf")

        assert load(shelf=bringing(shelf)).need("shelf") is shelf

    @pytest.mark.parametrize(
        ("disabled", "source", "words"),
        [
            ([], "import no_such_sdk", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_sdk'"),
            (["shelf"], TRACKER_SOURCE, "is disabled in the configuration"),
        ],
    )
    def test_a_type_whose_plugin_does_not_work(self, distributions, disabled, source, words):
        point = distributions.make("acme-shelf", "acme_shelf", source, point="shelf")
        plugins = Plugins.load(disabled=disabled, entry_points=[point])

        with pytest.raises(PluginError) as caught:
            plugins.need("shelf")

        assert str(caught.value) == f'"shelf": its plugin "shelf" (acme-shelf 1.2) {words}'

    def test_a_type_with_settings_that_cannot_be_built(self):
        class Thing:
            """Nothing that a configuration could say."""

        settings = type("Odd", (TrackerSettings,), {"__annotations__": {"thing": Thing}})
        plugins = load(shelf=bringing(tracker_type("shelf", settings_type=settings)))

        with pytest.raises(PluginError, match=r"cannot be loaded: PydanticSchemaGenerationError: .*Thing"):
            plugins.need("shelf")

    def test_an_unknown_type(self):
        with pytest.raises(PluginError, match=r'"shlef" is no tracker type; did you mean "shelf"\?'):
            load(shelf=bringing(tracker_type("shelf"))).need("shlef")

    def test_packages_that_are_missing_are_named_with_the_command_that_installs_them(self, distributions):
        metadata = "Provides-Extra: shelf\nRequires-Dist: no-such-sdk>=2; extra == 'shelf'"
        source = TRACKER_SOURCE.replace('"shelf"', '"shelf-cloud"')
        point = distributions.make("acme-shelf", "acme_shelf", source, metadata=metadata)

        with pytest.raises(PluginError) as caught:
            Plugins.load(entry_points=[point]).need("shelf-cloud")

        assert str(caught.value) == (
            """tracker type "shelf-cloud" needs no-such-sdk: pip install 'acme-shelf[shelf]'"""
        )


def exploding(export):
    raise RuntimeError("boom")


class TestRouting:
    def test_what_plugins_say_is_put_together(self):
        plugins = load(
            a=plugin(bridge_route=lambda export: ["web", "mobile"]),
            b=plugin(bridge_route=lambda export: "web"),
            c=plugin(bridge_route=lambda: None),
        )

        assert sorted(plugins.route(EXPORT)) == ["mobile", "web"]

    @pytest.mark.parametrize("broken", [exploding, lambda export: 5])
    def test_one_that_fails_is_counted_and_the_others_are_asked(self, broken):
        plugins = load(a=plugin(bridge_route=lambda export: ["web"]), b=plugin(bridge_route=broken))

        assert plugins.route(EXPORT) == ["web"]
        assert plugins.failures == {"b": 1}


class TestPreparing:
    def test_each_sees_what_the_one_before_made(self):
        def add(label):
            return plugin(
                bridge_prepare=lambda draft, bug: draft.with_(labels=(*draft.labels, f"{label}-{bug.id}"))
            )

        plugins = load(a=add("a"), b=add("b"), none=plugin(bridge_prepare=lambda: None))

        assert set(plugins.prepare(DRAFT, BUG, "web").labels) == {"test-io", "a-7", "b-7"}

    def test_one_that_fails_leaves_the_draft_as_it_was(self):
        def bridge_prepare(draft):
            raise RuntimeError("boom")

        plugins = load(raising=plugin(bridge_prepare=bridge_prepare), wrong=plugin(bridge_prepare=lambda: "x"))

        assert plugins.prepare(DRAFT, BUG, "web") == DRAFT
        assert plugins.failures == {"raising": 1, "wrong": 1}


class TestTelling:
    def test_async_and_sync_plugins_hear_what_they_ask_for(self):
        heard = []

        async def bridge_delivered(issue, tracker):
            heard.append(f"{issue.key} in {tracker}")

        plugins = load(
            a=plugin(bridge_delivered=bridge_delivered),
            s=plugin(bridge_delivered=lambda action: heard.append(f"{action} too")),
        )
        asyncio.run(plugins.tell("bridge_delivered", **DELIVERED))

        assert sorted(heard) == ["WEB-1 in web", "created too"]

    def test_one_that_raises_is_told_with_its_name_and_the_others_still_hear(self):
        heard, lines = [], []

        class Log:
            def warning(self, event, **keys):
                lines.append({"event": event, **keys})

        async def bridge_delivered():
            raise RuntimeError("boom")

        objects = {
            "bad": plugin(bridge_delivered=bridge_delivered),
            "good": plugin(bridge_delivered=lambda: heard.append(1)),
        }
        plugins = Plugins.load(entry_points=[], objects=objects, log=Log())
        asyncio.run(plugins.tell("bridge_delivered", **DELIVERED))

        assert heard == [1]
        assert plugins.failures == {"bad": 1}
        assert lines == [
            {
                "event": "a plugin's hook failed",
                "plugin": "bad",
                "hook": "bridge_delivered",
                "error": "RuntimeError: boom",
            }
        ]

    def test_one_that_takes_too_long_is_given_up(self):
        async def bridge_delivered():
            await asyncio.Event().wait()

        plugins = load(slow=plugin(bridge_delivered=bridge_delivered))
        asyncio.run(plugins.tell("bridge_delivered", timeout=0.01, **DELIVERED))

        assert plugins.failures == {"slow": 1}

    def test_one_that_blocks_does_not_block_the_loop(self):
        gate = threading.Event()

        async def main():
            telling = asyncio.create_task(plugins.tell("bridge_delivered", **DELIVERED))
            await asyncio.sleep(0)
            gate.set()  # reached only when the loop runs on
            await telling

        plugins = load(blocking=plugin(bridge_delivered=lambda: gate.wait(10)))
        asyncio.run(main())

        assert plugins.failures == {}
