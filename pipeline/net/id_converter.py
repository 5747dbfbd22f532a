"""The id in the path of a route."""

from uuid import UUID

from werkzeug.routing import BaseConverter, Map

from pipeline.runtime.ids import ID_PATTERN, read_id


class IdConverter(BaseConverter):
    """The part of a path that is an id; other text does not match the route."""

    regex = ID_PATTERN

    def to_python(self, value: str) -> UUID:
        """Return the id."""
        return read_id(value)

    def to_url(self, value: UUID) -> str:
        """Return the form in which we write it."""
        return str(value)


def read_ids_in(url_map: Map) -> None:
    """Have ``<uuid:…>`` in later routes read ids as bodies, queries and commands do."""
    url_map.converters = {**url_map.converters, "uuid": IdConverter}
