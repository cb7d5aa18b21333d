"""Open event streams and what is written to them: who may open one, who subscribes to
what, the bytes, and the keep-alives. It knows no NATS, no Django and no Channels.
"""
