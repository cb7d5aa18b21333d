"""Open event streams and what is written to them.

It knows nothing of NATS or Django.
"""
