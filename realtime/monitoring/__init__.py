"""What Prometheus reads: this process's metrics, or those of all workers added up. It
knows nothing of streams, NATS or the service: it is given what it shows.
"""
