"""Trackers behind a synchronous SDK built on `requests`: own threads, one client a thread, errors translated."""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from bridge.answers import Answer, Purpose, redacted
from bridge.errors import InDoubt, Rejected, TrackerError, Unavailable
from bridge.tracker import S, Tracker

C = TypeVar("C")
T = TypeVar("T")


class SdkTracker(Tracker[S], Generic[S, C]):
    """Base of trackers that use a vendor's SDK.

    A subclass defines `connect`, which imports the SDK (130 to 180 ms each: only when a tracker of that type is
    in use), and `answer_of`, and runs everything that talks to the tracker through `run`. The SDK's own retries
    must be off: they would make a second issue behind our back.
    """

    _pool: ThreadPoolExecutor | None = None

    @abstractmethod
    def connect(self) -> C:
        """Return a new client. Called once in each thread."""

    @abstractmethod
    def answer_of(self, error: Exception) -> Answer | None:
        """Return what the tracker answered, when `error` is one of the SDK's; None for any other."""

    def explain(self, answer: Answer, purpose: Purpose) -> TrackerError:
        """Return the error that an unsuccessful answer means in this tracker's dialect."""
        return self.refusal(answer, purpose)

    async def run(self, function: Callable[[C], T], *, purpose: Purpose = Purpose.LOOK) -> T:
        """Call `function` with this thread's client, in one of the tracker's threads.

        Raises:
            TrackerError: The one that fits.
        """
        if self._pool is None:
            self._local = threading.local()
            self._pool = ThreadPoolExecutor(self.settings.concurrency, f"tracker-{self.name}")
        future = asyncio.get_running_loop().run_in_executor(self._pool, self._call, function, purpose)
        return await future

    async def open(self) -> None:
        """Import the SDK and make the first client."""
        await self.run(lambda _client: None)

    async def close(self) -> None:
        """Give the threads back; a call under way ends by its own timeout."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _call(self, function: Callable[[C], T], purpose: Purpose) -> T:
        client: C | None = getattr(self._local, "client", None)
        try:
            if client is None:
                client = self._local.client = self.connect()
        except Exception as error:  # noqa: BLE001 - translated, never swallowed
            raise self._translated(error, Purpose.LOOK) from None  # nothing of ours was sent yet
        try:
            return function(client)
        except Exception as error:  # noqa: BLE001 - translated, never swallowed
            raise self._translated(error, purpose) from None

    def _translated(self, error: Exception, purpose: Purpose) -> Exception:
        if isinstance(error, TrackerError):
            return redacted(error, self.tools.redact)
        answer = self.answer_of(error)
        if answer is not None:
            return redacted(self.explain(answer, purpose), self.tools.redact)
        broken = _broken_connection(error, purpose)
        return redacted(broken, self.tools.redact) if broken else error


def _broken_connection(error: Exception, purpose: Purpose) -> TrackerError | None:
    """Return the error that a `requests` exception means; None when it is of another library.

    https://requests.readthedocs.io/en/latest/api/#exceptions
    """
    from requests import exceptions as requests  # noqa: PLC0415 - the SDK has imported it already
    from urllib3.exceptions import NewConnectionError  # noqa: PLC0415

    if not isinstance(error, requests.RequestException):
        return None
    words = str(error) or type(error).__name__
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.ConnectTimeout | requests.SSLError | requests.ProxyError) or isinstance(
        reason, NewConnectionError
    ):
        return Unavailable(f"no connection: {words}")
    if isinstance(error, requests.InvalidURL | requests.InvalidSchema | requests.MissingSchema):
        return Rejected(f"the request cannot be sent: {words}")
    if purpose is Purpose.CREATE:
        return InDoubt(f"sent, but no answer: {words}")
    return Unavailable(f"no answer: {words}")
