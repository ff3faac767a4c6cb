# For `flask` in this folder; production runs `python -m`, which does not read it.
APP_ENV=development
FLASK_APP={{ cookiecutter.package_name }}
