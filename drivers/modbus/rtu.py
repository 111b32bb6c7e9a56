"""Modbus RTU: one thread a line, which has the next request waiting while it listens to a reply.

The thread (and not the event loop) because the silence is shorter than the loop's timer can keep: an epoll time-out is
rounded up to whole milliseconds, a third of a frame at 115200 baud. Requests wait in a short queue of their own: the
thread takes the next at the end of the silence, as late as possible, so that until then a more urgent one can still be
put in its place. How a reply is bound to its request is told in `line.py`.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic

from drivers.modbus.line import Debts, Line, StoppedError, Timing
from drivers.modbus.link import Answer, AskT, Done, Fault, Miss, nobody
from gateway.core.errors import NotConnectedError


class SerialLink(Generic[AskT]):
    """A line with its thread.

    Args:
        name: The endpoint, for messages.
        opener: Returns a non-blocking file descriptor of the line; called in the thread. Raises OSError.
        timing: How long things take.
        done: Told of each request's outcome, in the event loop.
        retry_s: For `NotConnectedError`: how soon an attempt to open it again makes sense.
    """

    def __init__(
        self,
        name: str,
        opener: Callable[[], int],
        timing: Timing,
        done: Done[AskT],
        *,
        retry_s: float | None = None,
    ) -> None:
        self.name = name
        self.took_s = 0.0
        self.on_lost: Callable[[], None] = nobody
        self._opener = opener
        self._timing = timing
        self._done = done
        self._retry_s = retry_s
        self._debts = Debts()
        self._session: _Session[AskT] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the line can be written to."""
        return self._session is not None and self._session.alive

    async def open(self) -> None:
        """Open the port or connect, anew. Raises NotConnectedError."""
        await self.close()
        self._session = _Session(self._opener, self._timing, self._debts, self._finish, self._lost)
        try:
            await self._session.start()
        except OSError as error:
            await self.close()
            raise NotConnectedError(self.name, error.strerror or str(error), self._retry_s) from error

    def send(self, *asks: AskT) -> None:
        """Queue requests; they are put on the line one after the other."""
        assert self._session is not None
        for ask in asks:
            self._session.put(ask)

    def recall(self) -> AskT | None:
        """Take back the request that was queued last, unless it has begun."""
        return self._session.recall() if self._session is not None else None

    async def close(self) -> None:
        """Stop the thread and close the port."""
        session, self._session = self._session, None
        if session is not None:
            await session.stop()

    def _finish(self, ask: AskT, answer: Answer, took_s: float) -> None:
        self.took_s = took_s
        self._done(ask, answer)

    def _lost(self) -> None:
        self.on_lost()


class _Session(Generic[AskT]):
    """The thread from one opening to its closing."""

    def __init__(
        self,
        opener: Callable[[], int],
        timing: Timing,
        debts: Debts,
        finish: Callable[[AskT, Answer, float], None],
        lost: Callable[[], None],
    ) -> None:
        self.alive = False
        self._opener = opener
        self._timing = timing
        self._debts = debts
        self._tell = finish
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._queue: deque[AskT] = deque()
        self._pending: list[AskT] = []
        self._stopping = self._resting = False
        self._bell, self._rung = socket.socketpair()
        self._bell.settimeout(0)
        self._rung.settimeout(0)
        self._bell_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="modbus-line", daemon=True)

    async def start(self) -> None:
        self._thread.start()
        await asyncio.shield(self._opened)
        self.alive = True

    def put(self, ask: AskT) -> None:
        self._pending.append(ask)
        if not self.alive:
            self._loop.call_soon(self._finish, ask, Miss(Fault.CLOSED, "line closed"))
            return
        self._queue.append(ask)
        # The thread looks into the queue once more after it has said that it rests, so that none is overlooked.
        if self._resting:
            self._ring()

    def recall(self) -> AskT | None:
        try:
            ask = self._queue.pop()
        except IndexError:
            return None
        self._pending.remove(ask)
        return ask

    async def stop(self) -> None:
        self.alive = False
        self._stopping = True
        self._ring()
        await asyncio.shield(self._ended)
        self._thread.join()
        if self._opened.done() and not self._opened.cancelled():
            self._opened.exception()
        self._drop_rest("line closed")

    def _ring(self) -> None:
        with self._bell_lock, contextlib.suppress(OSError):  # full: it rings already; closed: nobody is there
            self._bell.send(b"\0")

    def _hang_up(self) -> None:
        """Close the bell; in the thread, as the last thing it does, so that it happens whoever stopped waiting for it.

        Under the lock: a closed descriptor's number may be another file's the next moment.
        """
        with self._bell_lock:
            self._bell.close()
            self._rung.close()

    def _finish(self, ask: AskT, answer: Answer, took_s: float = 0.0) -> None:
        if ask in self._pending:
            self._pending.remove(ask)
            self._tell(ask, answer, took_s)

    def _drop_rest(self, reason: str) -> None:
        for ask in self._pending[:]:
            self._finish(ask, Miss(Fault.DROPPED, reason))

    def _run(self) -> None:
        """Serve the line; in the thread."""
        try:
            descriptor = self._opener()
        except OSError as error:
            self._hang_up()
            self._post(self._settle, self._opened, error)
            self._post(self._settle, self._ended, None)
            return
        self._post(self._settle, self._opened, None)
        line = Line(descriptor, self._rung.fileno(), lambda: self._stopping, self._timing, self._debts)
        try:
            with contextlib.suppress(StoppedError):
                self._serve(line)
        except OSError as error:
            self._post(self._went_away, error.strerror or str(error))
        finally:
            os.close(descriptor)
            self._hang_up()
            self._post(self._settle, self._ended, None)

    def _serve(self, line: Line) -> None:
        while not line.spent:
            self._await_work(line)
            line.hush()
            try:
                ask = self._queue.popleft()
            except IndexError:
                continue  # it was taken back
            try:
                answer = line.exchange(ask.request, ask.timeout_s)
            except OSError as error:
                line.spent = True
                answer = Miss(Fault.CLOSED, error.strerror or str(error))
            self._post(self._answered, ask, answer, line.took_s, line.spent)

    def _await_work(self, line: Line) -> None:
        while not self._queue:
            self._resting = True
            try:
                if not self._queue and not self._stopping:
                    line.rest()
            finally:
                self._resting = False
            if self._stopping:
                raise StoppedError

    def _answered(self, ask: AskT, answer: Answer, took_s: float, last: bool) -> None:  # noqa: FBT001 - called by position through call_soon
        if last:
            self.alive = False
        self._finish(ask, answer, took_s)
        if last:
            self._drop_rest("line closed after another request")

    def _went_away(self, reason: str) -> None:
        """The line is gone while nothing was on its way."""
        if self._stopping:
            return
        self.alive = False
        for ask in self._pending[:]:
            self._finish(ask, Miss(Fault.CLOSED, reason))
        # A serial server that closes an idle connection is connected to again when there is something to ask.
        if not self._timing.reopen:
            self._lost()

    @staticmethod
    def _settle(future: asyncio.Future[None], error: OSError | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def _post(self, call: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody is left to tell
            self._loop.call_soon_threadsafe(call, *args)
