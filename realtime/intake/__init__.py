"""Takes updates in from publishers: stores each through the bridge, and keeps what
cannot be stored yet in the outbox, or gives it to another instance.

It does not know the views that it serves.
"""
