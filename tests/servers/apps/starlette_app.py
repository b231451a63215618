"""A Starlette app with the agent's middleware, as the README says."""

from dynoscale.asgi import DynoscaleAsgiApp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse

app = Starlette()
app.add_middleware(DynoscaleAsgiApp)


@app.route("/", methods=["GET", "POST"])
async def hello(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse("hello\n")
