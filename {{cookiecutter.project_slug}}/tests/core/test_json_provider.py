from datetime import date
from json import JSONDecodeError
from uuid import UUID

import pytest
from flask import Flask


def test_what_views_return(app: Flask) -> None:
    value = {"id": UUID(int=1), "day": date(2000, 1, 2), "word": "é", 1: None}
    text = '{"id":"00000000-0000-0000-0000-000000000001","day":"2000-01-02","word":"é","1":null}'
    assert app.json.dumps(value) == text
    assert app.json.response(value).mimetype == "application/json"


def test_what_is_no_json_is_refused(app: Flask) -> None:
    with pytest.raises(TypeError):
        app.json.dumps(object())
    with pytest.raises(JSONDecodeError):
        app.json.loads("NaN")
