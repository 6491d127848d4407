"""What can go wrong with a stack; each text is one sentence with the way out.

- StackError
  - PostgresError: PostgreSQL cannot be found, started or stopped
  - PortTaken: a port that we need is held by somebody else
  - ForeignEnvFile: the env file that we would write is somebody's own
  - WorkspaceMissing: the repository's files are not where the package is
  - StackFailed: a service did not come up
"""


class StackError(RuntimeError):
    """Base of all."""


class PostgresError(StackError):
    """PostgreSQL cannot be found, started or stopped."""


class PortTaken(StackError):
    """A port that we need is held by somebody else."""


class ForeignEnvFile(StackError):
    """The file that we would write is somebody's own."""


class WorkspaceMissing(StackError):
    """The repository's files are not where the package is."""


class StackFailed(StackError):
    """A stack that did not come up; the text names the service and what it said last."""
