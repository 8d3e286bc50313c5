"""All operations of the admin API, a row each: method, path, name, role, what is asked, what is answered, what it is for.

`seg.admin.openapi` makes the OpenAPI document of them, `seg.admin.http` serves them.
"""

from __future__ import annotations

from typing import Any, TypeVar

from seg.admin.roles import Role
from seg.admin.wire.changes import (
    ChangesAnswer,
    ClearedAnswer,
    CommitChanges,
    CommitDetailAnswer,
    CommitsAnswer,
    CommittedAnswer,
    ConfigurationAnswer,
    DiffAnswer,
    ListCommits,
    NamedCommit,
    ReloadedAnswer,
    RollBack,
    StageEdits,
)
from seg.admin.wire.checks import RunCheck
from seg.admin.wire.destinations import (
    DestinationAnswer,
    DestinationsAnswer,
    DialoguesAnswer,
    FlushPolicies,
    GetPolicyReport,
    HostAnswer,
    HostsAnswer,
    ListHosts,
    ListPolicies,
    NamedDomain,
    PoliciesAnswer,
    PolicyReportAnswer,
    WatchDialogues,
)
from seg.admin.wire.gateway import (
    ChangeSuspension,
    ChangeWorkQueue,
    ClientsAnswer,
    CountersResetAnswer,
    DNSStatusAnswer,
    FlushDNS,
    FlushedAnswer,
    StatusAnswer,
    SuspensionAnswer,
    WorkQueueAnswer,
)
from seg.admin.wire.messages import (
    ActOnCorrupt,
    ActOnMessages,
    ContentAnswer,
    CorruptAnswer,
    CorruptDoneAnswer,
    CorruptFileInFullAnswer,
    DoneAnswer,
    HeldByPolicyAnswer,
    ListHeldByPolicy,
    ListMessages,
    MessageAnswer,
    MessagesAnswer,
    NamedMessage,
    ReadMessage,
    ShowCorrupt,
    WhyAnswer,
)
from seg.admin.wire.route import APIRoute, NoParameters, RawResponse
from seg.check.answer import CheckAnswer

JSON = "application/json"

Q = TypeVar("Q")
A = TypeVar("A")


def _watch(
    name: str, path: str, request: type[Q], answer: type[A], doc: str, content_type: str = JSON
) -> APIRoute[Q, A]:
    """Figures only."""
    return APIRoute("GET", path, name, Role.WATCH, request, answer, doc, content_type=content_type)


def _look(name: str, path: str, request: type[Q], answer: type[A], doc: str, *refusals: int) -> APIRoute[Q, A]:
    """It changes nothing."""
    return APIRoute("GET", path, name, Role.LOOK, request, answer, doc, refusals)


def _act(
    name: str, path: str, request: type[Q], answer: type[A], doc: str, *refusals: int, method: str = "POST"
) -> APIRoute[Q, A]:
    """It has something done."""
    return APIRoute(method, path, name, Role.ACT, request, answer, doc, refusals)


STATUS = _watch(
    "status", "/v1/status", NoParameters, StatusAnswer, "How the gateway is doing: queue, gauges, counters, rates"
)
RESET_COUNTERS = _act(
    "resetCounters",
    "/v1/counters/reset",
    NoParameters,
    CountersResetAnswer,
    'Begin the counters of the column "reset" anew',
)
LIST_CORRUPT = _look(
    "listCorrupt", "/v1/corrupt", NoParameters, CorruptAnswer, "What was put aside, as the queue can't read it"
)
ACT_ON_CORRUPT = _act(
    "actOnCorrupt", "/v1/corrupt", ActOnCorrupt, CorruptDoneAnswer, "Restore what was mended, or delete it", 400
)
SHOW_CORRUPT = _look(
    "showCorrupt", "/v1/corrupt/file", ShowCorrupt, CorruptFileInFullAnswer, "One of them with its beginning", 404
)
LIST_MESSAGES = _look(
    "listMessages", "/v1/messages", ListMessages, MessagesAnswer, "The waiting messages, the oldest first", 400
)
ACT_ON_MESSAGES = _act(
    "actOnMessages",
    "/v1/messages",
    ActOnMessages,
    DoneAnswer,
    "Hold, release, delete, retry, bounce or redirect messages",
    400,
)
SHOW_MESSAGE = _look("showMessage", "/v1/messages/{mid}", NamedMessage, MessageAnswer, "One message in full", 404)
EXPLAIN_MESSAGE = _look(
    "explainMessage", "/v1/messages/{mid}/why", NamedMessage, WhyAnswer, "Why a message hasn't gone yet", 404
)
READ_MESSAGE = _look(
    "readMessage", "/v1/messages/{mid}/content", ReadMessage, ContentAnswer, "The octets of a message", 404
)
LIST_HELD_BY_POLICY = _look(
    "listHeldByPolicy",
    "/v1/held-by-policy",
    ListHeldByPolicy,
    HeldByPolicyAnswer,
    "What TLS policy keeps waiting, a domain a row",
    400,
)
GET_POLICY_REPORT = _look(
    "getPolicyReport",
    "/v1/policy-report",
    GetPolicyReport,
    PolicyReportAnswer,
    "What would have failed if watched policies were enforced, a domain a row",
    400,
)
LIST_HOSTS = _look(
    "listHosts", "/v1/hosts", ListHosts, HostsAnswer, "Destinations, those with the most of something first", 400
)
SHOW_HOST = _look("showHost", "/v1/host", NamedDomain, HostAnswer, "How one destination fares", 400)
LIST_CLIENTS = _look("listClients", "/v1/clients", NoParameters, ClientsAnswer, "Who is connected")
SHOW_SUSPENSION = _watch("showSuspension", "/v1/suspension", NoParameters, SuspensionAnswer, "What is suspended")
CHANGE_SUSPENSION = _act(
    "changeSuspension",
    "/v1/suspension",
    ChangeSuspension,
    SuspensionAnswer,
    "Suspend and resume deliveries and listeners; ALL stands for all",
    400,
    404,
    409,
)
SHOW_WORK_QUEUE = _watch(
    "showWorkQueue",
    "/v1/workqueue",
    NoParameters,
    WorkQueueAnswer,
    "How many messages aren't queued yet, and whether nothing leaves the queue",
)
CHANGE_WORK_QUEUE = _act(
    "changeWorkQueue", "/v1/workqueue", ChangeWorkQueue, WorkQueueAnswer, "Let nothing leave the queue, or end that"
)
SHOW_DNS = _watch(
    "showDNS", "/v1/dns", NoParameters, DNSStatusAnswer, "What the DNS was asked, and how each resolver fares"
)
FLUSH_DNS = _act(
    "flushDNS", "/v1/dns/flush", FlushDNS, FlushedAnswer, "Forget answers of the DNS: those for a name, or all"
)
LIST_POLICIES = _look("listPolicies", "/v1/policies", ListPolicies, PoliciesAnswer, "The MTA-STS policies known", 404)
FLUSH_POLICIES = _act(
    "flushPolicies", "/v1/policies/flush", FlushPolicies, FlushedAnswer, "Forget MTA-STS policies", 400
)
LIST_DESTINATIONS = _look(
    "listDestinations",
    "/v1/destinations",
    NoParameters,
    DestinationsAnswer,
    "Every destination control in the order of the file, Default last, and the SMTP routes",
)
SHOW_DESTINATION = _look(
    "showDestination", "/v1/destination", NamedDomain, DestinationAnswer, "What holds for one domain", 400
)
CHECK = _act(
    "check",
    "/v1/checks",
    RunCheck,
    CheckAnswer,
    "Rehearse a delivery to a domain, or check its MTA-STS, DANE or TLS, without a message",
    400,
    429,
)
SHOW_CONFIGURATION = _look(
    "showConfiguration",
    "/v1/configuration",
    NoParameters,
    ConfigurationAnswer,
    "Both files as this operator sees them, with what is staged",
    422,
)
SHOW_CHANGES = _look(
    "showChanges",
    "/v1/changes",
    NoParameters,
    ChangesAnswer,
    "What this operator has staged, and who else has something",
)
STAGE = _act("stage", "/v1/changes", StageEdits, DiffAnswer, "Stage edits", 400, 422)
CLEAR_CHANGES = _act(
    "clearChanges", "/v1/changes", NoParameters, ClearedAnswer, "Drop what is staged", 409, method="DELETE"
)
REBASE = _act(
    "rebase", "/v1/changes/rebase", NoParameters, DiffAnswer, "Put what is staged on top of what others committed", 409
)
LIST_COMMITS = _look("listCommits", "/v1/commits", ListCommits, CommitsAnswer, "The newest commits")
COMMIT = _act(
    "commit", "/v1/commits", CommitChanges, CommittedAnswer, "Commit what is staged, and put it into force", 409, 422
)
SHOW_COMMIT = _look(
    "showCommit", "/v1/commits/{number}", NamedCommit, CommitDetailAnswer, "One commit and what it changed", 404
)
ROLL_BACK = _act("rollBack", "/v1/rollback", RollBack, DiffAnswer, "Stage the configuration of an earlier commit", 400)
RELOAD = _act("reload", "/v1/reload", NoParameters, ReloadedAnswer, "Work by the files as they are on disk", 409, 422)
METRICS = _watch(
    "metrics", "/v1/metrics", NoParameters, RawResponse, "All metrics for Prometheus", content_type="text/plain"
)
DESCRIBE = _watch("describe", "/v1/openapi", NoParameters, RawResponse, "This description")
LIST_DIALOGUES = _look(
    "listDialogues",
    "/v1/debug",
    NoParameters,
    DialoguesAnswer,
    "Which destinations' SMTP dialogues go into the mail log",
)
WATCH_DIALOGUES = _act(
    "watchDialogues",
    "/v1/debug",
    WatchDialogues,
    DialoguesAnswer,
    "Write the SMTP dialogues of the next sessions with a destination into the mail log",
    400,
)

OPERATIONS: tuple[APIRoute[Any, Any], ...] = tuple(row for row in [*globals().values()] if isinstance(row, APIRoute))


def needed_role(method: str, path: str) -> Role:
    """What whoever asks for this must have. Where there is no such operation, no more is told to somebody with a lesser role."""
    for each in OPERATIONS:
        if (each.method, each.path) == (method, path):
            return each.role
    return Role.LOOK if method == "GET" else Role.ACT
