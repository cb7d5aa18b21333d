"""Imports the senders while Django loads the models, as Flagsmith's does."""

import sse  # noqa: F401
