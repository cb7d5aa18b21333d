"""Whether real-time updates work, and what is not as it should be: pure functions of
what was answered. Nothing here asks anybody."""
