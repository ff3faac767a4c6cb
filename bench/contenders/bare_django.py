import os
import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["127.0.0.1"], MIDDLEWARE=[], ROOT_URLCONF=__name__, SECRET_KEY=os.urandom(32).hex())


def livez(request):
    return JsonResponse({"status": "ok"})


def small(request):
    return JsonResponse({"hello": "world"})


def slow(request):
    time.sleep(0.01)
    return JsonResponse({"hello": "world"})


urlpatterns = [path("livez", livez), path("bench/small", small), path("bench/slow", slow)]
app = get_wsgi_application()
