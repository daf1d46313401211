"""Addresses in the settings of a tracker."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from bridge import web_address

ADDRESS: TypeAdapter[str] = TypeAdapter(Annotated[str, web_address("https://git.acme.example", "/api/v1", "/api")])


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://git.acme.example", "https://git.acme.example"),
        (" https://git.acme.example/ ", "https://git.acme.example"),
        ("http://127.0.0.1:3000/git/", "http://127.0.0.1:3000/git"),
        ("https://git.acme.example/api/v1/", "https://git.acme.example"),
        ("https://git.acme.example/git/api", "https://git.acme.example/git"),
    ],
)
def test_the_address_of_a_server_or_of_its_api_is_taken_without_what_ends_it(written: str, address: str) -> None:
    assert ADDRESS.validate_python(written) == address


@pytest.mark.parametrize("written", ["", "git.acme.example", "ftp://git.acme.example", "https://", "/git"])
def test_anything_else_is_refused_with_an_example(written: str) -> None:
    with pytest.raises(ValidationError, match=r'is no address: write it like "https://git\.acme\.example"'):
        ADDRESS.validate_python(written)


def test_what_is_behind_the_host_is_left_out_where_no_server_lives_under_a_path() -> None:
    site: TypeAdapter[str] = TypeAdapter(Annotated[str, web_address("https://acme.example", path=False)])

    assert site.validate_python("https://acme.example/app/tasks?x=1#y") == "https://acme.example"


def test_one_that_may_be_empty_is_an_address_or_empty() -> None:
    optional: TypeAdapter[str] = TypeAdapter(Annotated[str, web_address("https://acme.example", optional=True)])

    assert [optional.validate_python(text) for text in ("", " ", "https://a.example/")] == [
        "",
        "",
        "https://a.example",
    ]
    with pytest.raises(ValidationError):
        optional.validate_python("a.example")
