"""An app for the Flagsmith API: what its task processor sends goes straight to NATS,
and waits in the task processor's own queue while NATS is away.

It needs `realtime.publisher` and nothing else of this package: not the app `realtime`,
which adds the health overview to the admin. Flagsmith's modules are imported when the
app is ready, and only then.
"""
