"""``seg check-install``: whether files belong to the right users."""

from __future__ import annotations

import attrs
import click

from seg.cli.context import CommandContext
from seg.cli.options import JSON
from seg.cli.output import say
from seg.cli.tables import plain, print_json


@click.command(name="check-install")
@JSON
@click.pass_obj
def check_install(context: CommandContext, as_json: bool) -> None:
    """Do all files of this machine's gateway belong to the right users, and can nobody else read secrets or write any of it?

    Configuration, users, tokens, keys, certificates, password files, var with its parts, the control socket, the drop folder, and the
    units of systemd. Each that is wrong is a line, with the command that mends it. The exit status is 1 then, else 0.
    """
    from seg.config.installation import look_at, owner_of_gateway
    from seg.config.trust import user_name

    settings = context.settings()
    found = look_at(context.files(), settings, context.destinations())
    user = user_name(owner_of_gateway(settings))
    if as_json:
        print_json({"user": user, "wrong": [attrs.asdict(each) for each in found]})
    else:
        for each in found:
            say(f"{plain(each.path)} {plain(each.problem)}\n    {plain(each.mend)}")
        if not found:
            say(f"Owners and modes are right (the gateway's user is {plain(user)}).")
    if found:
        raise SystemExit(1)
