"""Inline media: `data:` URLs and bare base64. Media is carried as it came and never decoded."""

from __future__ import annotations

from freehold.dialects.conversation import File, Image

_MAGIC = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "Qk": "image/bmp",
    "JVBERi": "application/pdf",
}
"""What the first bytes of a format look like in base64."""


def split_data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 data of a `data:` URL; None when `url` is not a base64 one (RFC 2397)."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    words = head.split(";")
    if not comma or words[-1].strip().lower() != "base64":
        return None
    return words[0].strip().lower() or sniffed(data), data


def data_url(media_type: str, data: str) -> str:
    return f"data:{media_type};base64,{data}"


def sniffed(data: str) -> str:
    """The media type of base64 `data` by its first bytes; "application/octet-stream" when unknown."""
    for start, media_type in _MAGIC.items():
        if data.startswith(start):
            return media_type
    return "application/octet-stream"


def image_from_url(url: str, detail: str = "", cache: dict[str, object] | None = None) -> Image:
    detail = "" if detail == "auto" else detail  # what leaving it out means
    inline = split_data_url(url)
    if inline is None:
        return Image(url=url, detail=detail, cache=cache)
    media_type, data = inline
    if media_type == "application/octet-stream":
        media_type = sniffed(data)
    return Image(media_type=media_type, data=data, detail=detail, cache=cache)


def file_from_data(text: str, name: str = "", cache: dict[str, object] | None = None) -> File:
    """A file from a `data:` URL or bare base64 (OpenAI takes both in `file_data`)."""
    media_type, data = split_data_url(text) or (sniffed(text), text)
    return File(media_type=media_type, data=data, name=name, cache=cache)


def image_url(image: Image) -> str:
    """The image as a URL, inline where it came inline; "" for an uploaded file."""
    return data_url(image.media_type, image.data) if image.data else image.url
