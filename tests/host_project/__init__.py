"""Another Django project, with settings of its own and `realtime` among its apps: what
the Flagsmith API would look like."""
