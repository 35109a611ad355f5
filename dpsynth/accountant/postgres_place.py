"""Where a store in PostgreSQL is: its URL taken apart, and a name of it that holds no password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from psycopg import ProgrammingError, conninfo

from dpsynth.errors import ConfigurationError

_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_ROLE = re.compile(r"[\w.$-]{1,63}")
_SECRET = ("password", "sslpassword")


@dataclass(frozen=True)
class Place:
    """What a URL says. ``parameters`` go to libpq; ``role`` is who may use the store besides its owner."""

    name: str
    schema: str
    role: str | None
    parameters: Mapping[str, str] = field(repr=False)

    @property
    def quoted(self) -> str:
        """The schema as SQL names it, a word of the language too."""
        return f'"{self.schema}"'

    def without_secrets(self, message: str) -> str:
        """A message in one line, with a password that stands in it taken out."""
        for key in _SECRET:
            if self.parameters.get(key):
                message = message.replace(self.parameters[key], "***")
        return " ".join(message.split())


def parse(url: str) -> Place:
    """Read ``postgresql://USER@HOST/DATABASE``, with ``?schema=NAME`` and ``?app=ROLE`` beside what libpq knows.

    ConfigurationError says what is wrong and quotes nothing, since a password may stand anywhere in it.
    """
    base, _, query = url.replace("postgresql+psycopg://", "postgresql://", 1).partition("?")
    own, others = {"schema": "dpsynth"}, []
    for item in query.split("&") if query else ():
        key, _, value = item.partition("=")
        if key in ("schema", "app"):
            own[key] = unquote(value)
        else:
            others.append(item)
    try:
        found = conninfo.conninfo_to_dict(base + ("?" + "&".join(others) if others else ""))
    except ProgrammingError:
        raise ConfigurationError(
            "the address of the store cannot be read: write postgresql://USER@HOST/DATABASE, with signs such as / and "
            "@ in a name as %2F and %40, after ? only what PostgreSQL knows, schema=NAME and app=ROLE; a password "
            "belongs into ~/.pgpass"
        ) from None
    if not _SCHEMA.fullmatch(own["schema"]):
        raise ConfigurationError("schema= in the store's address: a name of a-z, 0-9 and _, at most 63, not pg_...")
    role = own.get("app")
    if role is not None and not _ROLE.fullmatch(role):
        raise ConfigurationError("app= in the store's address: the name of a role of the server")
    parameters = {key: str(value) for key, value in found.items()}
    return Place(_name(parameters, own["schema"]), own["schema"], role, parameters)


def _name(parameters: Mapping[str, str], schema: str) -> str:
    """The URL as errors show it."""
    user, host, port = (parameters.get(key, "") for key in ("user", "host", "port"))
    where = (f"{user}@" if user else "") + host + (f":{port}" if port else "")
    named = "" if schema == "dpsynth" else f"?schema={schema}"
    return f"postgresql://{where}/{parameters.get('dbname', '')}{named}"
