"""`${ENV}` and `{ file = "..." }`: values that stand elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.config.words import path_of
from bridge.errors import Problem

_VARIABLE = re.compile(r"\$?\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass
class Placeholders:
    """Puts values in the place of placeholders, everywhere in a file.

    Attributes:
        env: Environment variables.
        folder: What a file's name is relative to.
        problems: Variables that are not set and files that cannot be read.
        values: What was put in: nobody but its owner needs to read it in an error.
    """

    env: Mapping[str, str]
    folder: Path
    problems: list[Problem] = field(default_factory=list)
    values: list[str] = field(default_factory=list)

    def fill(self, value: Any, *path: str | int) -> Any:
        """Return `value` with all placeholders inside it replaced.

        `$${NAME}` is the way to write `${NAME}` itself.
        """
        if isinstance(value, str):
            return _VARIABLE.sub(lambda match: self._variable(match, path), value)
        if isinstance(value, dict):
            if set(value) == {"file"} and isinstance(value["file"], str):
                return self._content(self.fill(value["file"], *path), path)
            return {key: self.fill(item, *path, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, *path, index) for index, item in enumerate(value)]
        return value

    def _variable(self, match: re.Match[str], path: tuple[str | int, ...]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        name = match[1]
        if name not in self.env:
            message = f"the environment variable {name} is not set (write $${{{name}}} for the text itself)"
            self.problems.append(Problem(path_of(*path), message))
            return match[0]
        self.values.append(self.env[name])
        return self.env[name]

    def _content(self, name: str, path: tuple[str | int, ...]) -> str:
        file = self.folder / Path(name).expanduser()
        try:
            content = file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            self.problems.append(Problem(path_of(*path), f"the file {file} cannot be read: {reason}"))
            return ""
        self.values.append(content)
        return content
