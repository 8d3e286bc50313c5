"""What takes the mail that programs of this machine dropped, put together by the configuration in force."""

from __future__ import annotations

from collections.abc import Callable

from seg.config.paths import drop_path
from seg.config.schema import Settings
from seg.events.runtime import Runtime
from seg.filter.submission import SubmissionRules
from seg.mail.ids import IMessageIds
from seg.maildrop.folder_claims import MaildropFolder
from seg.maildrop.pickup import IPickupQueue, Pickup, PickupRules


def build_pickup(
    runtime: Runtime,
    settings: Callable[[], Settings],
    queue: IPickupQueue,
    ids: IMessageIds,
    has_name: Callable[[str], bool],
) -> Pickup:
    """What takes them; its folder isn't looked at yet.

    :param settings: those in force.
    :param has_name: whether there is an alias or a user of this name here.
    """

    def rules() -> PickupRules:
        receive, submission = settings().receive, settings().submission
        return PickupRules(
            receive.max_message_size,
            receive.max_recipients,
            receive.max_received_hops,
            SubmissionRules(runtime.hostname, submission, has_name),
        )

    return Pickup(runtime, MaildropFolder(drop_path(settings())), queue, ids, rules)
