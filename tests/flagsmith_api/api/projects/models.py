from django.db import models


class Project(models.Model):
    enable_realtime_updates = models.BooleanField(default=True)
