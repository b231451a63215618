"""A FastAPI app with the agent's middleware, as the README says."""

from dynoscale.asgi import DynoscaleAsgiApp
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

app = FastAPI()
app.add_middleware(DynoscaleAsgiApp)


@app.get("/")
@app.post("/")
async def hello(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse("hello\n")
