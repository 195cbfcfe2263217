"""Where each address leads."""

from django.http import HttpRequest, HttpResponse
from django.urls import path
from drf_yasg import openapi
from drf_yasg.views import get_schema_view
from rest_framework.permissions import AllowAny
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from text.views import WordCountView

schema = get_schema_view(
    openapi.Info(title="Sample", default_version="v1"),
    public=True,
    permission_classes=[AllowAny],
)


def healthz(_request: HttpRequest) -> HttpResponse:
    """Answers as long as the process serves requests; asks no database."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [
    path("healthz", healthz),
    path("api/word-count", WordCountView.as_view()),
    path("api/token", TokenObtainPairView.as_view()),
    path("api/token/refresh", TokenRefreshView.as_view()),
    path("docs/", schema.with_ui("swagger", cache_timeout=0)),
]
