from django.db import models


class Environment(models.Model):
    project = models.ForeignKey(
        "projects.Project", on_delete=models.CASCADE, related_name="environments"
    )
    api_key = models.CharField(max_length=100, unique=True)
    updated_at = models.DateTimeField()
