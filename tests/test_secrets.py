"""Secrets show in nothing that people or machines read."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from bridge.secrets import HIDDEN, Redactor, Secret, secrets_in

TOKEN = "t0ken/with+odd=signs"


class Inner(BaseModel):
    key: Secret


class Outer(BaseModel):
    token: Secret
    inner: Inner
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}
    other: Secret | None = None
    public: str = "shop.example"


SETTINGS = Outer(
    token=Secret(TOKEN),
    inner=Inner(key=Secret("inner-key")),
    many=(Inner(key=Secret("first-key")),),
    named={"a": Inner(key=Secret("named-key"))},
)


def test_settings_do_not_show_them():
    for text in (
        repr(SETTINGS),
        str(SETTINGS),
        SETTINGS.model_dump_json(),
        repr(SETTINGS.token),
        f"{SETTINGS.token}",
    ):
        assert TOKEN not in text
        assert "key-" not in text


def test_they_are_found_however_deep_they_are():
    assert set(secrets_in(SETTINGS)) == {TOKEN, "inner-key", "first-key", "named-key"}
    assert set(secrets_in([{"a": (SETTINGS.inner,)}])) == {"inner-key"}


class TestRedactor:
    @pytest.mark.parametrize(
        "text",
        [
            f"Authorization: Bearer {TOKEN}",
            "https://t.example/?key=t0ken%2Fwith%2Bodd%3Dsigns&x=1",
            f"{TOKEN}{TOKEN}",
        ],
    )
    def test_known_ones_are_taken_out_in_the_forms_in_which_they_travel(self, text):
        redacted = Redactor([TOKEN])(text)

        assert HIDDEN in redacted
        assert "t0ken" not in redacted

    @pytest.mark.parametrize("scheme", ["Basic", "Bearer", "token", "Vendor-oauthtoken"])
    def test_the_credential_of_a_header_that_a_server_shows_us_is_taken_out(self, scheme):
        """Access tokens are in no configuration."""
        text = Redactor()(f"you sent {scheme} 1000.8cb99dxxxxxxxxxxxxx9be93 to us")

        assert text == f"you sent {scheme} {HIDDEN} to us"

    def test_the_longer_one_goes_first_where_one_is_part_of_the_other(self):
        assert Redactor(["secret", "secret-and-more"])("secret-and-more") == HIDDEN

    def test_what_looks_like_a_pattern_is_none(self):
        assert Redactor(["a.b*c(d"])("a.b*c(d axbcd") == f"{HIDDEN} axbcd"

    def test_short_ones_would_blank_ordinary_words(self):
        assert Redactor(["a", "", "token"])("a token") == "a token"

    def test_without_secrets_nothing_changes(self):
        assert Redactor()("text") == "text"

    def test_documents_are_gone_through_to_the_bottom(self):
        document = {"a": [f"x {TOKEN}", {"b": (TOKEN, 5, None)}], TOKEN: True}

        assert Redactor([TOKEN]).deep(document) == {"a": [f"x {HIDDEN}", {"b": [HIDDEN, 5, None]}], HIDDEN: True}

    def test_it_does_not_show_what_it_knows(self):
        assert TOKEN not in repr(Redactor([TOKEN]))
