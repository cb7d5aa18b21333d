"""The service's settings in a process that takes itself for the host `POD`, as in a pod
of Kubernetes: `DJANGO_SETTINGS_MODULE=tests.support.pod`."""

import os
import socket

from flagsmith_sse.settings import *  # noqa: F403  Django's way to extend settings

socket.gethostname = lambda: os.environ["POD"]
