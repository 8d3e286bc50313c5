"""Options and arguments that many verbs have."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any

import click
from click.core import ParameterSource

from seg.cli.context import CommandContext
from seg.cli.dialogue import ask, can_ask
from seg.cli.output import print_json, say

_ASKED = "seg.cli.options.asked"
YES = click.option("--yes", is_flag=True, help="Don't ask.")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")


class WordChoice(click.Choice[str]):
    """One of some words: as they are printed, in any case, with ``-`` or ``_`` inside. A wrong one is answered with the nearest."""

    def __init__(self, words: Iterable[str]) -> None:
        super().__init__([str(word) for word in words])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType.convert`."""
        known = {_folded(word): word for word in self.choices}
        if _folded(str(value)) not in known:
            from seg.config.problems import offered

            self.fail(f"there is no {value!r}{offered(str(value), self.choices)}", param, ctx)
        return known[_folded(str(value))]


def _folded(word: str) -> str:
    return word.lower().replace("_", "-")


class PromptedArgument(click.Argument):
    """An argument that is asked for when it is missing and somebody sits at a terminal. One that may be left out is asked for only when
    another one of the same command was, and an empty answer leaves it out.

    :param question: what is asked.
    """

    def __init__(self, *declarations: Any, question: str = "", **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.question = question

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """What was typed behind the verb, else the answer."""
        value, source = super().consume_value(ctx, opts)
        if not self.value_is_missing(value) or ctx.resilient_parsing or not can_ask():
            return value, source
        if not self.required:
            answer = ask(self.question) if ctx.meta.get(_ASKED) else ""
            return (answer, ParameterSource.PROMPT) if answer else (value, source)
        ctx.meta[_ASKED] = True
        answer = ask(self.question, "", lambda text: "" if text else "An answer is needed (Ctrl-C leaves).")
        return answer, ParameterSource.PROMPT


def asked(name: str, question: str, **attributes: Any) -> Callable[[Any], Any]:
    """`click.argument` for an `PromptedArgument` one."""
    return click.argument(name, cls=PromptedArgument, question=question, **attributes)


def to_be_asked(context: click.Context) -> bool:
    """Whether a group was called without a verb, by somebody who can be asked; who can't be gets its help, and exit status 2."""
    if context.invoked_subcommand is not None:
        return False
    if not can_ask():
        say(context.get_help())
        context.exit(2)
    return True


Answering = Generator[Any, Any, None]


def json_or_text(verb: Callable[..., Answering]) -> Callable[..., None]:
    """A verb with ``--json``: it yields its answer and gets it back.

    With ``--json`` that is printed, and it is over; else the verb goes on and tells it to a person.
    """

    @JSON
    @click.pass_obj
    @wraps(verb)
    def run(context: CommandContext, /, as_json: bool, **arguments: Any) -> None:
        telling = verb(context, **arguments)
        answer = next(telling)
        if as_json:
            print_json(answer)
            return
        with suppress(StopIteration):
            telling.send(answer)

    return run


MID = asked("mid", "Enter the MID of the message:", type=click.IntRange(1))
DOMAIN = asked("domain", "Enter the domain:")
RECIPIENT_HOST = asked("domain", "Recipient host:")
