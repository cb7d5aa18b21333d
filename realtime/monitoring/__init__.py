"""What Prometheus reads. It knows the metrics, and nothing of streams or NATS: whoever
answers a scrape takes what it shows from here."""
