"""The fleet in the Django admin: an entry of the index, and the pages behind it."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern

from realtime.admin.urls import fleet_urls
from realtime.models import Fleet

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Fleet]
else:
    _ModelAdmin = admin.ModelAdmin


@admin.register(Fleet)
class FleetAdmin(_ModelAdmin):
    """Nothing can be added, changed or deleted; `view_fleet` is Django's own."""

    def get_urls(self) -> list[URLPattern]:
        return fleet_urls(self.admin_site)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
