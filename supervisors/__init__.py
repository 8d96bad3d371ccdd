"""A small supervision library for Trio."""

from supervisors.admission import Admission, AdmissionStatistics, Request, RequestKind
from supervisors.backoff import Backoff
from supervisors.child import Child, Restart, Run
from supervisors.errors import (
    BootFailed,
    NotStarted,
    StartFailed,
    StartTimeout,
    StrayCancellation,
    SupervisionError,
    SupervisorFailed,
)
from supervisors.exits import Crashed, Exit, Finished, Stopped, describe, unwrap
from supervisors.mailbox import Mailbox
from supervisors.permits import Permit, Permits, TokenKind
from supervisors.snapshot import MailboxStatistics, Snapshot, State
from supervisors.supervisor import Strategy, Supervisor

__all__ = [
    "Admission",
    "AdmissionStatistics",
    "Backoff",
    "BootFailed",
    "Child",
    "Crashed",
    "Exit",
    "Finished",
    "Mailbox",
    "MailboxStatistics",
    "NotStarted",
    "Permit",
    "Permits",
    "Request",
    "RequestKind",
    "Restart",
    "Run",
    "Snapshot",
    "StartFailed",
    "StartTimeout",
    "State",
    "Stopped",
    "Strategy",
    "StrayCancellation",
    "SupervisionError",
    "Supervisor",
    "SupervisorFailed",
    "TokenKind",
    "describe",
    "unwrap",
]
