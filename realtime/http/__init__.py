"""A small ASGI toolkit for endpoints that bypass Django's request handler: requests,
responses, authentication, CORS, and what the kernel knows of a connection. It does not
know the service: endpoints are given that by constructor.
"""
