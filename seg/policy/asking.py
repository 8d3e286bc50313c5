"""One question to one policy provider, ours or a third party's: whatever it does, there is an answer, in time."""

from __future__ import annotations

from collections.abc import Awaitable
from types import CoroutineType
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from seg.common.concurrently import go_on
from seg.mail.causes import CauseKind
from seg.mail.errors import LocalFault
from seg.mail.hosts import MXHost
from seg.policy.interfaces import IHostPolicy, ITLSPolicyProvider
from seg.policy.requirement import (
    Answer,
    Decide,
    DomainQuestion,
    NoOpinion,
    Observe,
    Raise,
    Refuse,
    Requirement,
    TempFail,
    TLSLevel,
)
from seg.tls.interfaces import IAuthenticator
from seg.tls.peer import TLSVersion


class NoAnswer(Exception):
    """The provider gave none that counts: it raised, answered something else, or took too long.

    :param summary: in a few words.
    :param detail: the same, in full.
    """

    def __init__(self, summary: str, detail: str = "") -> None:
        super().__init__(summary, detail)
        self.summary = summary
        self.detail = detail or summary


def opened(provider: ITLSPolicyProvider, question: DomainQuestion) -> IHostPolicy:
    """The provider's view of a domain.

    :raises NoAnswer: it gives none.
    :raises LocalFault: the gateway lacks something.
    """
    try:
        view: IHostPolicy = provider.open(question)
    except BaseException as error:
        raise _no_answer(error) from error
    return view


async def ask(view: IHostPolicy, host: MXHost, clock: IReactorTime, seconds: float) -> Answer:
    """The provider's answer.

    An answer that is at hand costs no Deferred: most are, and each message asks for several.

    :param view: the provider's, of the domain.
    :raises NoAnswer: why there is none.
    :raises LocalFault: the gateway lacks something: that, too, is no answer.
    :raises CancelledError: whoever asks was cancelled; never because the provider gave up something of its own.
    """
    try:
        coroutine: Any = view.answer(host)
    except BaseException as error:
        raise _no_answer(error) from error
    if type(coroutine) is not CoroutineType:  # of a third party: a Deferred, or whatever else
        coroutine = _awaited(coroutine)
    try:
        pending = coroutine.send(None)
    except StopIteration as end:
        return checked(end.value)
    except BaseException as error:
        raise _no_answer(error) from error
    return checked(await _in_time(go_on(coroutine, pending), clock, seconds))


async def _awaited(answer: Awaitable[Answer]) -> Answer:
    return await answer


def _in_time(going_on: Any, clock: IReactorTime, seconds: float) -> Deferred[Any]:
    """The rest of the answer. The end of the time doesn't depend on what the provider makes of being cancelled."""
    work: Deferred[Any] = Deferred.fromCoroutine(going_on)
    given_up = False

    def give_up(_: object) -> None:
        nonlocal given_up
        given_up = True
        work.cancel()

    result: Deferred[Any] = Deferred(give_up)

    def late() -> None:
        result.errback(NoAnswer(f"no answer within {seconds:g} s"))
        work.cancel()

    timer = clock.callLater(seconds, late)

    def done(value: object) -> None:
        if timer.active():
            timer.cancel()
        if given_up or result.called:
            return
        if isinstance(value, Failure):
            result.errback(Failure(_no_answer(value.value)))
        else:
            result.callback(value)

    work.addBoth(done)
    return result


def _no_answer(error: BaseException | None) -> BaseException:
    """What an exception of a provider comes to. A `CancelledError` is of its own, as whoever asks isn't cancelled here."""
    if isinstance(error, LocalFault | KeyboardInterrupt | GeneratorExit):
        return error
    if isinstance(error, CancelledError):
        return NoAnswer("CancelledError", "CancelledError: something that it waited for was given up")
    return NoAnswer(type(error).__name__, f"{type(error).__name__}: {error}")


def checked(answer: object) -> Answer:
    """The answer, if it is one in all its parts: what is taken for a requirement must be enforceable.

    :raises NoAnswer: it isn't.
    """
    if isinstance(answer, NoOpinion | Refuse | TempFail):
        sound = isinstance(answer.reason, str) and (answer.cause is None or isinstance(answer.cause, CauseKind))
    elif isinstance(answer, Decide | Raise):
        sound = isinstance(answer.reason, str) and _sound(answer.requirement)
    elif isinstance(answer, Observe):
        words = isinstance(answer.reason, str) and isinstance(answer.failure, str)
        sound = words and _sound(answer.requirement) and (answer.floor is None or _sound(answer.floor))
        sound = sound and (answer.cause is None or isinstance(answer.cause, CauseKind))
    else:
        sound = False
    if isinstance(answer, Refuse | TempFail):
        sound = sound and isinstance(answer.enhanced, str) and answer.enhanced.startswith("4.")
        sound = sound and isinstance(answer.cause, CauseKind)
    if not sound:
        raise NoAnswer("no answer", f"{repr(answer)[:200]} is no answer")
    return answer  # type: ignore[return-value]


def _sound(wish: object) -> bool:
    """Whether something is a requirement in all its parts."""
    return (
        isinstance(wish, Requirement)
        and isinstance(wish.tls, TLSLevel)
        and isinstance(wish.min_version, TLSVersion)
        and isinstance(wish.sni, str)
        and isinstance(wish.source, str)
        and _authenticators(wish.authenticators)
        and (wish.tied_authenticators is None or _authenticators(wish.tied_authenticators))
    )


def _authenticators(given: object) -> bool:
    return isinstance(given, tuple) and all(map(_authenticates, given))


def _authenticates(given: object) -> bool:
    words = isinstance(getattr(given, "source", None), str) and isinstance(getattr(given, "verifies", None), bool)
    return words and IAuthenticator.providedBy(given)
