"""Every address of the service, and an endpoint of the REST framework that only parses the form it gets."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from captcha_site.urls import urlpatterns as service


class EmptyView(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        return Response({"parts": len(request.data)})


urlpatterns = [path("bench/empty", EmptyView.as_view()), *service]
