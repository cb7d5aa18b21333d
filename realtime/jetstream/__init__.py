"""Updates through NATS JetStream: publishing, what waits while NATS is away, reading.

It knows nothing of HTTP or of open streams.
"""
