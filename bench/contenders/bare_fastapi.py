import asyncio

from fastapi import FastAPI

app = FastAPI()


@app.get("/livez")
async def livez():
    return {"status": "ok"}


# With ``def`` it would run in a thread, which is slower.
@app.get("/bench/small")
async def small():
    return {"hello": "world"}


@app.get("/bench/slow")
async def slow():
    await asyncio.sleep(0.01)
    return {"hello": "world"}
