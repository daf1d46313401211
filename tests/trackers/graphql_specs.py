"""A vendor's own GraphQL schema: do documents, variables, and what the fake answers, fit it?

The schemas are not part of the project; without their folder nothing is checked (`specs.REASON`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values

from bridge.testing.server import Reply, Request
from tests.trackers.specs import FOLDER


@dataclass(frozen=True, eq=False)
class Schema:
    """A schema in GraphQL's own language."""

    schema: GraphQLSchema

    @classmethod
    def load(cls, filename: str) -> Schema | None:
        """Return the schema in `../shared/specs/<filename>`, None where that folder is absent."""
        schema = _schema(FOLDER / filename)
        return cls(schema) if schema is not None else None

    def check(self, request: Request, reply: Reply) -> list[str]:
        """Return what does not fit, in words.

        The answer is held against the schema by running the document over it: a field that is missing where it
        must not be, has another type, or was not asked for, shows.
        """
        document, problems = _parsed(self.schema, request.json["query"])
        if document is None or problems:
            return problems
        operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        variables = request.json.get("variables") or {}
        read = get_variable_values(self.schema, operation.variable_definitions or (), variables)
        if isinstance(read, list):
            return [f"variables: {error.message}" for error in read]
        unknown = sorted(
            set(variables) - {node.variable.name.value for node in operation.variable_definitions or ()}
        )
        if unknown:
            return [f"variables: {', '.join(unknown)} are not in the document"]
        data = reply.json.get("data") if isinstance(reply.json, dict) else None
        if not data or reply.json.get("errors") or any(name.startswith("__") for name in data):
            return []
        result = execute_sync(self.schema, document, root_value=data, variable_values=variables)
        if result.errors:
            return [f"answer: {error.message} at {error.path}" for error in result.errors]
        return [] if result.data == data else [f"answer: {data} is not what was asked for, {result.data}"]


@lru_cache
def _schema(path: Path) -> GraphQLSchema | None:
    return (
        build_schema(path.read_text("utf-8"), assume_valid=True, assume_valid_sdl=True) if path.is_file() else None
    )


@lru_cache
def _parsed(schema: GraphQLSchema, text: str) -> tuple[DocumentNode | None, list[str]]:
    try:
        document = parse(text)
    except GraphQLError as error:
        return None, [str(error)]
    return document, [error.message for error in validate(schema, document)]
