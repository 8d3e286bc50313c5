"""Several lookups side by side, at no cost for those that the cache answers."""

from __future__ import annotations

import functools
import types
from collections.abc import Coroutine, Generator, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

T = TypeVar("T")
_Coroutine = Coroutine[Deferred[Any], Any, T]


async def side_by_side(coroutines: Sequence[_Coroutine[T]]) -> list[T]:
    """The results in the order given. Cancelling cancels all; the first exception in that order is raised at
    the end.

    Each runs to its first wait at once, and becomes a Deferred only if it has to wait: making a dozen of them
    for answers that are at hand would cost more than the rest of a route.
    """
    begun = [_begin(coroutine) for coroutine in coroutines]
    waiting = [(n, outcome) for n, outcome in enumerate(begun) if isinstance(outcome, Deferred)]
    if waiting:
        outcomes = await DeferredList([deferred for _, deferred in waiting], consumeErrors=True)
        for (n, _), (_, outcome) in zip(waiting, outcomes, strict=True):
            begun[n] = outcome
    results: list[T] = []
    for outcome in begun:
        if isinstance(outcome, Failure):
            outcome.raiseException()
        results.append(outcome)
    return results


def _begin(coroutine: _Coroutine[T]) -> Any:
    """The result or the failure of a coroutine that doesn't wait; a Deferred for one that does."""
    try:
        pending = coroutine.send(None)
    except StopIteration as end:
        return end.value
    except Exception:  # noqa: BLE001
        return Failure()  # raised once the others have ended
    return Deferred.fromCoroutine(go_on(coroutine, pending))


@types.coroutine
def go_on(coroutine: _Coroutine[T], pending: Deferred[Any]) -> Generator[Deferred[Any], Any, T]:
    """The rest of a coroutine that waits for `pending`: what ``yield from`` does, from its second step on."""
    while True:
        try:
            result = yield pending
        except GeneratorExit:  # nobody will ever resume it
            coroutine.close()
            raise
        except BaseException as error:  # noqa: BLE001
            resume = functools.partial(coroutine.throw, error)
        else:
            resume = functools.partial(coroutine.send, result)
        try:
            pending = resume()
        except StopIteration as end:
            return end.value
