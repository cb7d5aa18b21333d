"""`realtime.flagsmith` in a double of the Flagsmith API, with Flagsmith's real task
processor on a real PostgreSQL."""
