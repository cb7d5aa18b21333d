"""The Django project: settings from the environment, composition, URLs, the command
line and the front page."""
