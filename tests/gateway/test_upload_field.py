"""The model's name in the beginning of a form, wherever it stands and however it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.gateway.upload import model_field
from tests.growth import LINEAR, cpu_s, growth

EDGE = "frontier-123"


def part(header: str, content: str | bytes) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return f"--{EDGE}\r\n{header}\r\n\r\n".encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{EDGE}--\r\n".encode()


FILE = part(
    'content-disposition: form-data; name="file"; filename="a.wav"\r\ncontent-type: audio/wav',
    b"\x00\xff" * 20,
)
LANGUAGE = part('Content-Disposition: form-data; name="language"', "en")


@pytest.mark.parametrize(
    "header",
    [
        'content-disposition: form-data; name="model"',
        'Content-Disposition: form-data; name="model"',
        "CONTENT-DISPOSITION: form-data; NAME=model",
        'content-disposition:form-data;name="model"',
        'content-disposition: form-data; name="model" ',
        'content-disposition: form-data; name="model"\r\ncontent-type: text/plain; charset=utf-8',
        'content-type: text/plain\r\ncontent-disposition: form-data; name="model"',
        'content-length: 9\r\nx-b: c\r\ncontent-disposition: form-data; name="model"\r\nx-a: b',
    ],
)
@pytest.mark.parametrize("before", [(), (LANGUAGE,), (FILE, LANGUAGE)], ids=["first", "second", "last"])
def test_the_field_is_found_however_it_is_written(header, before):
    body = form(*before, part(header, "whisper-1"), FILE)
    found = model_field(body)
    assert found is not None
    assert found[0] == "whisper-1"
    assert body[found[1] : found[2]] == b"whisper-1"


MODEL = part('content-disposition: form-data; name="model"', "whisper-1")


@given(st.data())
def test_the_field_is_found_as_soon_as_it_is_there_and_never_before(data):
    """Any beginning of the form gives the field or nothing; a longer beginning never changes its mind."""
    before = data.draw(st.lists(st.sampled_from([FILE, LANGUAGE]), max_size=2))
    body = form(*before, MODEL, FILE)
    cut = data.draw(st.integers(0, len(body)))
    found = model_field(body[:cut])
    whole = len(b"".join(before)) + len(MODEL)
    assert (found is not None) == (cut >= whole)
    assert found in (None, model_field(body))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_form_without_a_model_or_one_with(start):
    found = model_field(start)
    assert found is None or start[found[1] : found[2]].decode("utf-8", "replace") == found[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        form(FILE, LANGUAGE),
        form(part('content-disposition: form-data; name="models"', "x")),
        form(part('content-disposition: form-data; name="a"; x="name=model"', "x")),
        form(part('content-disposition: form-data; name="model"', "")),
        form(part('content-disposition: form-data; name="model"; filename="model"', "x")),
        form(part("content-type: text/plain", 'content-disposition: form-data; name="model"\r\n\r\nx')),
    ],
    ids=["nothing", "other fields", "another name", "in a value", "empty", "a file", "in a body"],
)
def test_what_is_no_model_field(body):
    assert model_field(body) is None


def test_a_file_that_speaks_of_models_is_left_alone():
    """A recorded request inside a file looks like a field, but no boundary of ours stands before it."""
    recorded = b'--other\r\ncontent-disposition: form-data; name="model"\r\n\r\nnot-this\r\n--other--'
    body = form(part('content-disposition: form-data; name="file"; filename="log.txt"', recorded), MODEL)
    found = model_field(body)
    assert found is not None
    assert found[0] == "whisper-1"


@pytest.mark.parametrize("begun", [b"", f"--{EDGE}\r\n".encode()])
@pytest.mark.parametrize(
    "line", [b'content-disposition: form-data; name="model"\r\n', f"--{EDGE}\r\n".encode()]
)
def test_a_hostile_beginning_takes_no_longer_than_its_length_deserves(begun, line):
    def reading(size):
        hostile = begun + line * size
        assert model_field(hostile) is None
        return lambda: model_field(hostile)

    assert growth(reading, 5_000) < LINEAR
    assert cpu_s(reading(60_000 if line.startswith(b"--") else 1_000_000 // len(line))) < 1
