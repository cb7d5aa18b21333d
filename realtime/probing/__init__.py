"""Whether real-time updates work, from the publish to the client, tried as a client
would: a stream of an environment that nobody else has, an update of it, and how long
each step took. `manage.py probe`, the button in the admin and each instance's canary
are this. It speaks HTTP only; what asks the instances over NATS is `read_survey`, which
the service itself must not import.
"""
