"""There is no table: updates pass through, and their streams know no database."""

from django.db import models


class Fleet(models.Model):
    """What the admin's index links to, and what permissions are about."""

    class Meta:
        managed = False
        # Named here, because Django would ask the database how long a name may be.
        db_table = "realtime_fleet"
        verbose_name = verbose_name_plural = "real-time health"
        default_permissions = ("view",)
        permissions = (("operate_fleet", "Can send test updates and drain instances"),)
