"""What the ledger does not suit: hostile clients, very many of them, and limits of the
machine. Each measures a service of its own."""
