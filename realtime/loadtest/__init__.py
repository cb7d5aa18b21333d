"""What `manage.py loadtest` runs: very many subscribers of one environment, one
publisher, and what became of every update."""
