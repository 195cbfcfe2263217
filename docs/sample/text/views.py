"""Counting words over HTTP."""

from collections import Counter

from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class TextSerializer(serializers.Serializer):
    text = serializers.CharField(max_length=100_000)


class WordCountView(APIView):
    """Takes a text, answers how often each of its words occurs."""

    permission_classes = (AllowAny,)

    def post(self, request: Request) -> Response:
        given = TextSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        words = given.validated_data["text"].lower().split()
        return Response({"words": dict(Counter(words).most_common())})
