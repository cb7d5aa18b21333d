"""The process's limit of open files: every subscriber is one."""

import resource


def raise_file_limit() -> int:
    """Raise the soft limit to the hard one, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
