"""A Starlette app that says how long each request waited. The agent needs the Middleware."""

from dynoscale.asgi import DynoscaleAsgiApp
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def hello(request: Request) -> PlainTextResponse:
    waited = request.scope.get("dynoscale.queue_time_ms", "an unknown number of")
    return PlainTextResponse(f"This request waited {waited} ms\n")


app = Starlette(
    routes=[Route("/", hello)],
    # Both are off unless asked for: the app finds the ms in scope, browsers' tools in the answer.
    middleware=[Middleware(DynoscaleAsgiApp, queue_time=True, server_timing=True)],
)
