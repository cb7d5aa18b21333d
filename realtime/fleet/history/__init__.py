"""The last hour minute by minute: recorded in each process, added up over all of them.
It knows nothing of how it is drawn."""
