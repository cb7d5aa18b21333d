"""Faults, injected into real processes while updates are published and subscribers
listen, and a ledger of what every one of them saw: `make faults`."""
