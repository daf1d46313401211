"""The example, the reference and the JSON Schema say the same as the settings themselves."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from bridge.config import (
    Conditions,
    ConnectionSettings,
    RouteSettings,
    build_config,
    config_schema,
    load_config,
)
from bridge.config.load import SECTIONS
from bridge.config.settings import Part
from bridge.model import EVERYTHING
from bridge.plugins import Plugins
from bridge.tracker import RetrySettings, TrackerSettings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
REFERENCE = ROOT / "docs" / "configuration.md"
BLOCKS = re.findall(r"```toml\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
TYPES = Plugins.load().types


def environment(text: str) -> dict[str, str]:
    """A value for every variable that a text names."""
    return dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "a-value-of-some-length-0123456789")


def example(*, complete: bool = False) -> dict[str, Any]:
    """The example's tables, with variables filled; `complete`: with the keys that are commented out."""
    text = EXAMPLE.read_text(encoding="utf-8")
    text = re.sub(r"\$\{(\w+)\}", lambda match: environment(text)[match[1]], text)
    return tomllib.loads(re.sub(r"^#(?=[a-z_]+ = )", "", text, flags=re.MULTILINE) if complete else text)


def documented(tables: dict[str, Any]) -> Iterator[tuple[str, type[BaseModel], Mapping[str, Any]]]:
    """Every table of the example with the settings it is read into."""
    for name, model in SECTIONS.items():
        yield name, model, tables[name]
    yield "connections", ConnectionSettings, tables["connections"]["shop"]
    yield "routes", RouteSettings, {**tables["routes"][1], **tables["routes"][0]}
    yield "when", Conditions, tables["routes"][1]["when"]
    for name, table in tables["trackers"].items():
        yield f"trackers.{name}", TYPES[table["type"]].settings_type, table
    yield "retry", RetrySettings, tables["trackers"]["archive"]["retry"]


COMPLETE, ACTIVE = list(documented(example(complete=True))), list(documented(example()))
NAMES = [name for name, *_ in COMPLETE]


class TestExample:
    def test_it_loads_without_a_warning(self):
        config = load_config(EXAMPLE, TYPES, environment(EXAMPLE.read_text(encoding="utf-8")))

        assert config.warnings == ()

    def test_it_has_a_section_for_each_tracker_type(self):
        assert {table["type"] for table in example()["trackers"].values()} == set(TYPES)

    @pytest.mark.parametrize(("name", "model", "table"), COMPLETE, ids=NAMES)
    def test_every_key_is_in_it(self, name, model, table):
        common = set(TrackerSettings.model_fields)
        elsewhere = common - {"type"} if name.startswith("trackers.") and name != "trackers.archive" else set()

        assert set(model.model_fields) - elsewhere <= set(table)

    @pytest.mark.parametrize(("name", "model", "table"), ACTIVE, ids=NAMES)
    def test_every_value_that_is_a_default_is_the_default(self, name, model, table):
        own = {"when": {"level"}, "routes": {"name", "connections", "when"}, "connections": {"secret"}}.get(
            name, set()
        )
        settings = model.model_validate(table)

        for key in set(table) - own:
            default = model.model_fields[key].get_default(call_default_factory=True, validated_data={})
            assert default in (PydanticUndefined, None) or getattr(settings, key) == default, key


class TestReference:
    @pytest.mark.parametrize("block", BLOCKS)
    def test_every_block_of_toml_loads(self, block, tmp_path):
        (tmp_path / "token").write_text("a-token")
        given = tomllib.loads(block.replace("/run/secrets/jira-token", "token"))
        around = {"connections": example()["connections"], "trackers": example()["trackers"]}
        tables = {**around, **given, "trackers": {**around["trackers"], **given.get("trackers", {})}}
        text = block + EXAMPLE.read_text(encoding="utf-8")

        config = build_config(tables, tmp_path, TYPES, environment(text))

        assert set(given.get("trackers", ())) <= set(config.trackers)

    @pytest.mark.parametrize(
        "model",
        [*SECTIONS.values(), ConnectionSettings, RouteSettings, Conditions, TrackerSettings, RetrySettings],
    )
    def test_every_key_is_in_it(self, model):
        text = REFERENCE.read_text(encoding="utf-8")

        assert [key for key in model.model_fields if f"`{key}`" not in text] == []


@pytest.fixture(scope="module")
def validator():
    schema = config_schema(TYPES)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


class TestSchema:
    @pytest.mark.parametrize("text", [EXAMPLE.read_text(encoding="utf-8"), *BLOCKS])
    def test_what_loads_fits_it(self, validator, text):
        assert [error.message for error in validator.iter_errors(tomllib.loads(text))] == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"conections": {}},
            {"server": {"prot": 1}},
            {"trackers": {"Web": {"type": "files"}}},
            {"trackers": {"web": {"type": "shelf"}}},
            {"trackers": {"web": {"type": "files", "foldr": "x"}}},
            {"routes": [{"name": "no trackers"}]},
            {"routes": [{"trackers": "web", "when": {"level": "medium"}}]},
        ],
    )
    def test_what_does_not_load_does_not(self, validator, wrong):
        assert list(validator.iter_errors(wrong))

    def test_it_offers_the_tracker_types_and_describes_the_keys(self):
        schema = config_schema(TYPES)

        trackers = schema["properties"]["trackers"]["additionalProperties"]["oneOf"]
        assert [one["allOf"][1]["properties"]["type"]["const"] for one in trackers] == sorted(TYPES)
        assert schema["$defs"]["ServerSettings"]["properties"]["port"]["description"]


def test_a_route_can_name_every_part_of_a_draft():
    assert set(get_args(Part)) == EVERYTHING
