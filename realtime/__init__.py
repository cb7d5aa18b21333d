"""Real-time updates for Flagsmith's SDKs: a reusable Django app.

`views` takes updates in, `intake` stores each through `jetstream`, which reads them
back on every instance, and `sse` writes them to the streams that `consumers` opened;
`service` holds one of each per process. `fleet` knows all instances, `admin` shows
them, `probing` tries the whole way, `monitoring` is what Prometheus reads, `server` is
what `serve` runs, and `http` and `endpoints` are the rest of what answers requests.
"""

__version__ = "0.1.0"
