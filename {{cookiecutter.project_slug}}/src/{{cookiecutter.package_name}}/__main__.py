"""``python -m`` this package: Flask's command line for this service, without reading ``.env`` by itself."""

from flask.cli import FlaskGroup

from . import create_app

# Worker processes import this module again, under another name.
if __name__ == "__main__":
    FlaskGroup(create_app=create_app, load_dotenv=False).main()
