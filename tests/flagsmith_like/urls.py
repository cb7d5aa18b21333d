"""Two views that publish."""

from django.urls import path

from tests.flagsmith_like import views

urlpatterns = [
    path("publish/<str:environment>", views.publish),
    path("apublish/<str:environment>", views.apublish),
]
