"""Settings of the property tests."""

from hypothesis import settings

# The servers of other tests may keep the machine busy: how long one example takes says
# nothing.
settings.register_profile("flagsmith_sse", deadline=None)
settings.load_profile("flagsmith_sse")
