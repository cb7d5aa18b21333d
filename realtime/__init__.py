"""Real-time updates for Flagsmith's SDKs: a reusable Django app.

`views` takes updates in, `bridge` carries them through NATS JetStream, `hub` tells the
subscribers that `consumers` registered; `service` holds one of each per process.
"""

__version__ = "0.1.0"
