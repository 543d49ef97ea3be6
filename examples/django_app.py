"""A Django project in one file with Lakeward around its handler.

    python examples/django_app.py [PORT]
    curl localhost:8000/api/partners/7

In a project of your own the two lines with `wrap` are those of `wsgi.py` and `asgi.py`, and
`LAKEWARD` stands in the settings. Needs Django: `pip install django`.
"""

from __future__ import annotations

import sys
from wsgiref.simple_server import make_server

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from lakeward import Collector

collector = Collector.from_env()


def who(request: HttpRequest) -> str | None:
    """The id of the caller; without this hook it is the user that your views have looked at."""
    return request.headers.get("x-user")


def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def partner(request: HttpRequest, partner_id: int) -> HttpResponse:
    collector.record("partner_match", partner_id=str(partner_id), score=87.5)
    return JsonResponse({"partner_id": partner_id})


urlpatterns = [path("health", health), path("api/partners/<int:partner_id>", partner)]

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    LAKEWARD={"collector": collector, "user": who},
)

from django.core.wsgi import get_wsgi_application  # noqa: E402 - it needs the settings

from lakeward.capture.django import wrap  # noqa: E402

application = wrap(get_wsgi_application())


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    make_server("127.0.0.1", port, application).serve_forever()
