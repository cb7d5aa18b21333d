"""Updates through NATS JetStream: the only package that imports `nats`. The bridge runs
one session after the other, each of which reads the stream into the hub and publishes.

It does not know who is called when something happens: not the fleet, not the intake.
"""
