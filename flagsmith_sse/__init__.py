"""The Django project: settings from the environment, composition, URLs."""
