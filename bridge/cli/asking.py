"""Asking a person. What is asked is elsewhere; here is how, and a test answers in the person's place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from bridge.cli.show import plain

Option = tuple[str, str]
"""A word to answer with, and what it means."""


class Asker(Protocol):
    """Somebody who answers."""

    def text(self, question: str, default: str = "", *, hidden: bool = False, required: bool = False) -> str:
        """Return what was typed.

        Args:
            question: What is asked.
            default: What Enter means.
            hidden: Whether nobody may see what is typed.
            required: Whether to ask again until there is something.
        """
        ...

    def choice(self, question: str, options: Sequence[Option], default: str) -> str:
        """Return the word of the option that was chosen."""
        ...

    def confirm(self, question: str, *, default: bool = True) -> bool:
        """Return whether the answer was yes."""
        ...

    def show(self, shown: RenderableType) -> None:
        """Show something."""
        ...


class Terminal:
    """A person at a terminal.

    Args:
        out: Where things are shown.
    """

    def __init__(self, out: Console) -> None:
        self._out = out

    def text(self, question: str, default: str = "", *, hidden: bool = False, required: bool = False) -> str:
        """Return what was typed; arguments as `Asker.text`."""
        while True:
            shown = bool(default) and not hidden
            answer: str = typer.prompt(question, default=default, hide_input=hidden, show_default=shown)
            if answer.strip() or not required:
                return answer.strip()
            self._out.print("It cannot be left out.")

    def choice(self, question: str, options: Sequence[Option], default: str) -> str:
        """Return the chosen option's word; its number is understood too."""
        width = max(len(word) for word, _ in options)
        for number, (word, meaning) in enumerate(options, 1):
            self._out.print(Text(f"  {number:>2}  {word:<{width}}  ").append(meaning, "dim"), soft_wrap=True)
        words = {word.lower(): word for word, _ in options}
        words |= {str(number): word for number, (word, _) in enumerate(options, 1)}
        while True:
            answer = self.text(question, default).lower()
            if answer in words:
                return words[answer]
            self._out.print(f"{plain(answer)} is none of them.")

    def confirm(self, question: str, *, default: bool = True) -> bool:
        """Return whether the answer was yes."""
        return bool(typer.confirm(question, default=default))

    def show(self, shown: RenderableType) -> None:
        """Show something."""
        self._out.print(shown, soft_wrap=isinstance(shown, Text))  # what is to be copied stays one line
