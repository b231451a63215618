"""A Starlette app with the agent's middleware, as the README says."""

from dynoscale.asgi import DynoscaleAsgiApp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def hello(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse("hello\n")


app = Starlette(routes=[Route("/", hello, methods=["GET", "POST"])])
app.add_middleware(DynoscaleAsgiApp)
