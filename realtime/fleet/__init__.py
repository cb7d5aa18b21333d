"""All instances together: what each says of itself over NATS, asking them, and the
verdict. It knows nothing of HTTP or of Django's pages: the admin and the commands take
what they show from here."""
