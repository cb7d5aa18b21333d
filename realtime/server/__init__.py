"""What `manage.py serve` runs: uvicorn as we need it, and an embedded NATS."""
