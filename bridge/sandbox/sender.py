"""Posting webhooks, with retries and with the faults that were asked for."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime

import httpx

from bridge.sandbox.world import Bug, Connection, Sent, World


class Sender:
    """Sends what is exported to the connections that cover it.

    Args:
        world: What there is; the log is kept in it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = random.Random(world.options.seed)
        self._under_way: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(timeout=world.options.timeout, trust_env=False)

    @property
    def busy(self) -> int:
        """How many webhooks are still to be sent, or sent again."""
        return len(self._under_way)

    async def close(self) -> None:
        """Send nothing more."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._client.aclose()

    def export(self, bug: Bug) -> int:
        """Do what a click on Export does; returns to how many connections it is sent."""
        now = datetime.now(UTC)
        bug.export_status = "export_requested"
        bug.exports += 1
        body = json.dumps(self._world.payload(bug, now)).encode()
        connections = [each for each in self._world.connections.values() if each.covers(bug)]
        for connection in connections:
            self._post(bug, connection, body)
        return len(connections)

    def _post(self, bug: Bug, connection: Connection, body: bytes) -> None:
        options, chance = self._world.options, self._chance
        if chance.random() < options.drop:
            self._note(bug, connection, 0, "dropped")
            return
        wait = options.late_by if chance.random() < options.late else 0.0
        wait += options.late_by * chance.random() if chance.random() < options.shuffle else 0.0
        for _ in range(2 if chance.random() < options.double else 1):
            task = asyncio.ensure_future(self._deliver(bug, connection, body, wait))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _deliver(self, bug: Bug, connection: Connection, body: bytes, wait: float) -> None:
        options = self._world.options
        await asyncio.sleep(wait)
        for attempt in range(1, options.retries + 2):
            if await self._attempt(bug, connection, body, attempt):
                return
            await asyncio.sleep(options.retry_wait * 2 ** (attempt - 1))

    async def _attempt(self, bug: Bug, connection: Connection, body: bytes, attempt: int) -> bool:
        headers = {"Content-Type": "application/json"}
        try:
            answer = await self._client.post(connection.url, content=body, headers=headers)
        except httpx.HTTPError as error:
            self._note(bug, connection, attempt, type(error).__name__)
            return False
        self._note(bug, connection, attempt, str(answer.status_code), answer.text[:200])
        if answer.is_success and self._world.options.answer_marks_exported:
            bug.export_status, bug.exported_at = "exported", datetime.now(UTC)
        return answer.is_success

    def _note(self, bug: Bug, connection: Connection, attempt: int, outcome: str, answer: str = "") -> None:
        self._world.log.append(Sent(datetime.now(UTC), bug.id, connection.name, attempt, outcome, answer))
