"""What every declaration has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_CELLS = 65_535
"""Most cells of one column, the null cell included: codes are 16-bit."""

Nullable = Annotated[bool, Field(description="whether a value may be missing: the null cell is the last one")]


class Declared(BaseModel):
    """Common rules: immutable, no unknown key, nothing coerced, and no value shown in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)
