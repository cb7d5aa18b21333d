"""The admin's stylesheets and scripts, served without a web server in front."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # untyped
    """WhiteNoise, with a file as one body: Django warns of a file that is read by a
    synchronous iterator under ASGI."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        served = WhiteNoiseMiddleware.serve(static_file, request)
        content = b"".join(served.streaming_content)
        served.close()
        return HttpResponse(content, status=served.status_code, headers=served.headers)
