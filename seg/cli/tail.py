"""``seg tail``: the mail log's last lines, and what comes after them."""

from __future__ import annotations

import click

from seg.cli.context import CommandContext
from seg.cli.logs import LOG, chosen_log
from seg.cli.output import print_json_line, say


@click.command()
@LOG
@click.option(
    "-f", "--follow", "following", is_flag=True, help="Go on as the log grows, over rotations too; Ctrl-C ends it."
)
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1000000),
    default=20,
    show_default=True,
    help="How many lines to begin with.",
)
@click.option("--json", "as_json", is_flag=True, help="The JSON twin of the log: one object a line.")
@click.pass_obj
def tail(context: CommandContext, log: str | None, following: bool, lines: int, as_json: bool) -> None:
    """Show the end of the mail log, or of LOG: a log subscription, or its file. Works without the gateway running."""
    from seg.config.log import LogForm
    from seg.config.subscriptions import MAIL_JSON
    from seg.maillog.follow import follow, last_lines

    chosen = chosen_log(context, log or (MAIL_JSON.name if as_json else None))
    path = chosen.path
    if as_json and chosen.form is not LogForm.JSON:
        raise click.UsageError(f'{path.name} is written as text; a subscription with form = "json" has JSON')
    if not path.exists() and not following:
        raise click.ClickException(f"there is no {path}: has the gateway run here yet?")
    try:
        for line in follow(path, lines) if following else last_lines(path, lines):
            print_json_line(line) if chosen.form is LogForm.JSON else say(line)
    except PermissionError:
        raise click.ClickException(
            f"you may not read {path}: be the user that runs the gateway (sudo -u ...)"
        ) from None
