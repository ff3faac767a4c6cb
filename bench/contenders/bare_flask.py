import time

from flask import Flask


def create_app():
    app = Flask(__name__)

    @app.get("/livez")
    def livez():
        return {"status": "ok"}

    @app.get("/bench/small")
    def small():
        return {"hello": "world"}

    @app.get("/bench/slow")
    def slow():
        time.sleep(0.01)
        return {"hello": "world"}

    return app
