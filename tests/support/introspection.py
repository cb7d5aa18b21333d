"""The service's settings with more URLs, which tell what is in the process and end its
work in the background:
`DJANGO_SETTINGS_MODULE=tests.support.introspection`."""

import asyncio
import gc
import os
from collections import Counter

from django.core.handlers.asgi import ASGIRequest
from django.http import JsonResponse
from django.urls import URLPattern, URLResolver, include, path

from flagsmith_sse.settings import *  # noqa: F403  Django's way to extend settings
from realtime.sse.subscriber import Subscriber

ROOT_URLCONF = "tests.support.introspection"


async def introspect(request: ASGIRequest) -> JsonResponse:
    """Tasks by name of their coroutine, and what the service holds."""
    service = request.scope["realtime.service"]
    gc.collect()
    tasks = Counter(
        getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks()
    )
    return JsonResponse(
        {
            "pid": os.getpid(),
            "tasks": tasks,
            "subscribers": service.hub.subscribers,
            "environments": service.hub.environments,
            "lagging": sum(
                subscriber.lagging_since is not None
                for subscribers in service.hub._environments.values()
                for subscriber in subscribers
            ),
            "on_the_wheel": sum(map(len, service.hub._wheel._slots.values())),
            "held": service.admission.held,
            "kept": len(service.intake.outbox),
            "subscriber_objects": sum(
                isinstance(thing, Subscriber) for thing in gc.get_objects()
            ),
        }
    )


async def collect(request: ASGIRequest) -> JsonResponse:
    """How many objects only the garbage collector could free, since it last ran."""
    return JsonResponse({"collected": gc.collect()})


async def cancel(request: ASGIRequest, name: str) -> JsonResponse:
    """Cancel the task of that name."""
    [task] = [task for task in asyncio.all_tasks() if task.get_name() == name]
    return JsonResponse({"cancelled": task.cancel()})


urlpatterns: list[URLPattern | URLResolver] = [
    path("introspection", introspect),
    path("collect", collect),
    path("cancel/<str:name>", cancel),
    path("", include("flagsmith_sse.urls")),
]
