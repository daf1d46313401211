"""The configuration file: what is accepted, and what a person is told about what is not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import field_validator

from bridge.config import load_config, plugin_settings
from bridge.errors import ConfigError
from bridge.model import Kind, Level, Markup
from bridge.secrets import Secret
from bridge.tracker import Tracker, TrackerSettings


class ShelfSettings(TrackerSettings):
    project: str
    folder: Path = Path("issues")
    token: Secret | None = None
    board: int | str = ""
    shelf: str = ""

    @field_validator("shelf")
    @classmethod
    def _refuses_loudly(cls, value: str) -> str:
        if value:
            raise ValueError(f"{value!r} is no shelf")
        return value


class Shelf(Tracker[ShelfSettings]):
    type, label, settings_type, markup = "shelf", "Shelf", ShelfSettings, Markup.GFM

    async def check(self):
        raise AssertionError("not called")

    async def create(self, draft):
        raise AssertionError("not called")


TYPES = {"shelf": Shelf}
SECRET = "a-secret-of-the-shop"
WHOLE = f"""
[connections.shop]
secret = "{SECRET}"
[trackers.web]
type = "shelf"
project = "WEB"
[[routes]]
trackers = "web"
"""


@pytest.fixture
def load(tmp_path):
    def load(text: str, **env: str):
        file = tmp_path / "config.toml"
        file.write_text(text)
        return load_config(file, TYPES, env)

    return load


@pytest.fixture
def problems(load):
    """The problems of a file, as `path: message` lines."""

    def problems(text: str, **env: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, **env)
        return [str(problem) for problem in caught.value.problems]

    return problems


class TestWhatIsRead:
    def test_everything_has_a_default_but_connections_routes_and_trackers(self, load):
        config = load(WHOLE)

        assert (config.server.host, config.server.port) == ("127.0.0.1", 8080)
        assert config.server.max_body == 2**20
        assert config.attachments.max_size == 25 * 2**20
        assert config.server.admin_token is None
        assert config.warnings == ()

    def test_one_value_stands_for_a_list_of_one(self, load):
        config = load(
            WHOLE + 'connections = "shop"\nwhen = { level = "high", product_id = 3, kind = ["visual"] }\n'
        )

        (route,) = config.routes
        assert route.trackers == ("web",)
        assert route.connections == ("shop",)
        assert route.when.level == (Level.HIGH,)
        assert route.when.kind == (Kind.VISUAL,)
        assert route.when.product_id == (3,)

    def test_a_tracker_is_read_into_its_types_own_settings(self, load):
        settings = load(WHOLE + '[trackers.b]\ntype = "shelf"\nproject = "B"\ntimeout = "5s"\n').trackers["b"]

        assert isinstance(settings, ShelfSettings)
        assert settings.timeout == timedelta(seconds=5)

    def test_relative_paths_are_relative_to_the_files_folder(self, load, tmp_path):
        config = load(WHOLE + '[plugins]\nfolder = "mine"\n')

        assert config.store.url == f"sqlite:///{tmp_path}/bridge.db"
        assert config.attachments.spool == tmp_path / "spool"
        assert config.plugins.folder == tmp_path / "mine"
        assert config.trackers["web"].folder == tmp_path / "issues"

    @pytest.mark.parametrize("url", ["sqlite:////var/bridge.db", "sqlite:///:memory:", "postgresql://db/bridge"])
    def test_a_store_that_is_no_relative_file_stays_as_it_is(self, load, url):
        assert load(WHOLE + f'[store]\nurl = "{url}"\n').store.url == url

    def test_an_empty_text_leaves_an_optional_secret_unset(self, load):
        config = load(WHOLE + '[server]\nadmin_token = ""\n')

        assert config.server.admin_token is None

    def test_unused_trackers_and_connections_are_warnings(self, load):
        more = (
            '[trackers.idle]\ntype = "shelf"\nproject = "X"\n[connections.silent]\nsecret = "0123456789abcdef"\n'
        )
        config = load(WHOLE.replace('"web"\n', '"web"\nconnections = "shop"\n') + more)

        assert [warning.path for warning in config.warnings] == ["trackers.idle", "connections.silent"]

    def test_plugins_can_be_read_before_the_rest_is_judged(self, tmp_path):
        (tmp_path / "c.toml").write_text('nonsense = 1\n[plugins]\nfolder = "${HERE}"\ndisabled = "github"\n')

        settings = plugin_settings(tmp_path / "c.toml", {"HERE": "mine"})

        assert settings.folder == tmp_path / "mine"
        assert settings.disabled == ("github",)


class TestPlaceholders:
    def test_an_environment_variable_may_stand_inside_any_text(self, load):
        config = load(
            WHOLE.replace(SECRET, "${LEFT}-${RIGHT}") + 'name = "to ${LEFT}"\n', LEFT="0123456789", RIGHT="abcdef"
        )

        assert config.connections["shop"].secret.get_secret_value() == "0123456789-abcdef"
        assert config.routes[0].name == "to 0123456789"

    def test_a_variable_may_give_a_number(self, load):
        assert load(WHOLE + '[server]\nport = "${PORT}"\n', PORT="9000").server.port == 9000

    def test_two_dollars_are_one(self, load):
        assert load(WHOLE + 'name = "$${HOME}"\n').routes[0].name == "${HOME}"

    def test_what_a_variable_holds_is_not_looked_through_again(self, load):
        assert load(WHOLE + 'name = "${A}"\n', A="${B}").routes[0].name == "${B}"

    def test_a_file_may_hold_any_text(self, load, tmp_path):
        (tmp_path / "secret").write_text("from-a-file-1234\n")

        config = load(WHOLE.replace(f'"{SECRET}"', '{ file = "secret" }'))

        assert config.connections["shop"].secret.get_secret_value() == "from-a-file-1234"

    def test_every_variable_that_is_missing_is_named_once(self, problems):
        found = problems(WHOLE.replace(SECRET, "${SHOP_SECRET}") + 'when.product_id = "${PRODUCT}"\n')

        words = "the environment variable {0} is not set (write $${{{0}}} for the text itself)"
        assert found == [
            f"connections.shop.secret: {words.format('SHOP_SECRET')}",
            f"routes[0].when.product_id: {words.format('PRODUCT')}",
        ]

    def test_a_file_that_cannot_be_read_is_named(self, problems, tmp_path):
        (found,) = problems(WHOLE.replace(f'"{SECRET}"', '{ file = "nope" }'))

        assert (
            found == f"connections.shop.secret: the file {tmp_path}/nope cannot be read: No such file or directory"
        )


class TestProblems:
    def test_all_are_told_at_once(self, problems):
        text = WHOLE.replace(SECRET, "short") + '[server]\nport = "x"\n[trackers.b]\ntype = "shelf"\n'

        paths = [problem.split(":")[0] for problem in problems(text)]
        assert paths == ["server.port", "connections.shop.secret", "trackers.b.project"]

    @pytest.mark.parametrize(
        ("more", "problem"),
        [
            ("[conections.x]\n", 'conections: is not known here; did you mean "connections"?'),
            ("[server]\nprot = 1\n", 'server.prot: is not known here; did you mean "port"?'),
            ("[log]\nzzz = 1\n", "log.zzz: is not known here; known are format, level"),
            ("[server]\nport = 99999\n", "server.port: must be at most 65535"),
            ('[server]\npublic_url = "bridge"\n', 'server.public_url: must be an address like "https://bridge.example.com"'),
            ('[server]\nadmin_token = "x"\n', "server.admin_token: must have at least 16 characters"),
            ('[server]\nmax_body = "big"\n', 'server.max_body: is no size: write it like "25 MiB"'),
            ("server = 1\n", "server: must be a table"),
            ("[log]\nformat = 'xml'\n", 'log.format: must be "auto", "human" or "json"'),
            ("[attachments]\nallow_http = 'perhaps'\n", "attachments.allow_http: must be true or false"),
            (
                "[attachments]\nallowed_hosts = ['https://x/']\n",
                'attachments.allowed_hosts[0]: must be a host like "files.test.io" or "*.test.io"',
            ),
            ("[plugins]\ndisabled = { a = 1 }\n", "plugins.disabled: must be a list, in square brackets"),
            (
                '[connections.a]\nsecret = "with/a/slash/inside"\n',
                "connections.a.secret: may hold only letters, digits and . _ ~ - because it is part of a URL",
            ),
            (
                f'[connections.a]\nsecret = "{SECRET}"\nsigning_secret = "whsec_abc"\n',
                'connections.a.signing_secret: must be "whsec_" and 24 to 64 random bytes in base64',
            ),
            ("[connections.a]\n", "connections.a.secret: is required"),
            (
                f'[connections.Shop_2]\nsecret = "{SECRET}"\n',
                "connections.Shop_2: a name may have only small letters, digits and, inside, hyphens",
            ),
            ("[trackers.b]\n", "trackers.b.type: is required; known are shelf"),
            (
                '[trackers.b]\ntype = "shlef"\n',
                'trackers.b.type: "shlef" is no tracker type; did you mean "shelf"?',
            ),
            ('[trackers.b]\ntype = "shelf"\n', "trackers.b.project: is required"),
            (
                '[trackers.b]\ntype = "shelf"\nproject = "B"\nretry = { attemps = 3 }\n',
                'trackers.b.retry.attemps: is not known here; did you mean "attempts"?',
            ),
            (
                '[trackers.b]\ntype = "shelf"\nproject = "B"\nboard = [1]\n',
                "trackers.b.board: must be a whole number or must be a text, in quotes",
            ),
            (
                '[[routes]]\ntrackers = "wbe"\n',
                'routes[1].trackers: there is no [trackers.wbe]; did you mean "web"?',
            ),
            (
                '[[routes]]\ntrackers = "web"\nconnections = ["shp"]\n',
                'routes[1].connections: there is no [connections.shp]; did you mean "shop"?',
            ),
            ("[[routes]]\ntrackers = []\n", "routes[1].trackers: must not be empty"),
            (
                '[[routes]]\ntrackers = "web"\nwhen = { levl = "high" }\n',
                'routes[1].when.levl: is not known here; did you mean "level"?',
            ),
            (
                '[[routes]]\ntrackers = "web"\nwhen = { level = "medium" }\n',
                'routes[1].when.level: must be "critical", "high" or "low"',
            ),
            (
                '[[routes]]\ntrackers = "web"\non_reexport = "reopen"\n',
                'routes[1].on_reexport: must be "comment", "update", "new" or "ignore"',
            ),
        ],
    )  # fmt: skip
    def test_each_is_told_in_plain_words_at_its_path(self, problems, more, problem):
        # Keys before the first table belong to the file itself.
        text = WHOLE + more if more.startswith("[") else more + WHOLE

        assert problems(text) == [problem]

    def test_a_single_bracket_around_routes_is_explained(self, problems):
        text = WHOLE.replace("[[routes]]", "[routes]")

        assert problems(text) == ["routes: must be written as [[routes]], with double brackets"]

    def test_broken_toml_is_told_with_its_line(self, problems, tmp_path):
        (found,) = problems("[server]\nport = = 1\n")

        assert found.startswith(f"{tmp_path}/config.toml: is no TOML: ")
        assert "line 2" in found

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
            load_config(tmp_path / "none.toml", TYPES, {})

    def test_why_a_type_cannot_be_used_is_explained_by_who_knows(self, tmp_path):
        (tmp_path / "c.toml").write_text(WHOLE + '[trackers.b]\ntype = "redmine"\n')
        reasons = {"shelf": "needs a package", "redmine": "its plugin is broken"}

        with pytest.raises(ConfigError) as caught:
            load_config(tmp_path / "c.toml", TYPES, {}, why_missing=lambda name: reasons[name])

        assert str(caught.value) == "trackers.web.type: needs a package\ntrackers.b.type: its plugin is broken"


class TestSecrets:
    def test_none_is_echoed_in_a_problem(self, problems):
        text = WHOLE.replace(SECRET, "tiny-hush").replace('"WEB"', '"WEB"\ntoken = 123456789\nshelf = "${SHELF}"')

        found = "\n".join(problems(text, SHELF="from-the-environment"))

        assert "tiny-hush" not in found
        assert "123456789" not in found
        assert "from-the-environment" not in found
        assert "trackers.web.shelf: '[secret]' is no shelf" in found

    def test_none_is_in_a_repr(self, load):
        config = load(WHOLE + '[store]\nurl = "postgresql://bridge:data-hush@db/bridge"\n')

        assert SECRET not in repr(config)
        assert "data-hush" not in repr(config)
        assert config.store.shown == "postgresql://bridge@db/bridge"

    def test_all_are_known_to_the_redactor(self, load):
        config = load(
            WHOLE.replace('"WEB"', '"WEB"\ntoken = "tracker-hush"')
            + '[server]\nadmin_token = "admin-hush-of-sixteen"\n[store]\nurl = "postgresql://b:data%2Fhush@db/b"\n'
        )

        assert set(config.secrets) == {SECRET, "tracker-hush", "admin-hush-of-sixteen", "data/hush"}
