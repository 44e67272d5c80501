"""The JSON Schema of `--schema`: read it, request it, and check the response against it.

The backend guarantees that a response matches a schema only in strict mode, which supports a part of JSON Schema and
requires all properties. So the schema is requested in strict mode if it can be, and every response is checked here.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .._redaction import excerpt
from .attachments import read_text_file
from .exit_codes import ExitCode, ExitError

__all__ = ["OutputSchema"]


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """A JSON Schema (draft 2020-12, or the draft that its `$schema` names), and the name of its file."""

    schema: dict[str, Any]
    name: str

    @classmethod
    def read(cls, source: str | Path) -> OutputSchema:
        """Return the schema of a file, or of a text that begins with `{`.

        Raises click.UsageError if it is not a valid JSON Schema.
        """
        import jsonschema

        is_text = str(source).lstrip().startswith("{")
        path = Path("schema" if is_text else source)
        name = "The schema" if is_text else excerpt(str(path))
        try:
            schema = json.loads(str(source) if is_text else read_text_file(path))
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"{name} is not JSON: {excerpt(str(error))}. Correct it.") from None
        if not isinstance(schema, dict):
            raise click.UsageError(f"{name} is not a JSON Schema. It must contain a JSON object.")
        if not isinstance(schema.get("$schema", ""), str):
            raise click.UsageError(f"{name} is not a valid JSON Schema. `$schema` must be a URL. Correct the file.")
        output_schema = cls(schema, path.stem)
        try:
            type(output_schema._validator()).check_schema(schema)
            output_schema.text_parameter()
        except jsonschema.SchemaError as error:
            raise click.UsageError(
                f"{name} is not a valid JSON Schema. At {error.json_path}: {excerpt(error.message)}. Correct it."
            ) from None
        except RecursionError:
            raise click.UsageError(f"{name} is nested too deeply. Simplify the schema.") from None
        return output_schema

    def text_parameter(self) -> dict[str, Any]:
        """Return the parameter `text` of `responses.create()`."""
        from ..tools.schema import NotStrictError, strict_schema

        schema = {name: value for name, value in self.schema.items() if name not in ("$schema", "$id")}
        is_strict = False
        if _requires_all_properties(schema):
            # The other errors come from a keyword whose value has an unusual form.
            with suppress(NotStrictError, AttributeError, TypeError):
                schema, is_strict = strict_schema(schema), True
        name = re.sub(r"[^\w-]", "_", self.name, flags=re.ASCII)[:64] or "output"
        return {"format": {"type": "json_schema", "name": name, "schema": schema, "strict": is_strict}}

    def parse(self, text: str) -> Any:
        """Return the value of a JSON text that matches the schema.

        Raises ExitError for any other text, and if the schema cannot be evaluated.
        """
        from jsonschema.exceptions import best_match
        from referencing.exceptions import Unresolvable

        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _mismatch(f"it is not JSON ({excerpt(str(error))})") from None
        try:
            problem = best_match(self._validator().iter_errors(value))
        except Unresolvable as unresolvable:
            raise ExitError(
                f"The schema refers to {excerpt(str(unresolvable.ref))!r}, which it does not have. Put it in `$defs`."
            ) from None
        except RecursionError:
            raise ExitError(
                "The response cannot be checked, because a `$ref` of the schema leads to itself or the response is "
                "nested too deeply. Correct the schema."
            ) from None
        if problem is not None:
            raise _mismatch(f"at {excerpt(problem.json_path)}, {excerpt(problem.message)}")
        return value

    def _validator(self) -> Any:
        import jsonschema
        import referencing
        from jsonschema.validators import validator_for

        validator_class = validator_for(self.schema, default=jsonschema.Draft202012Validator)
        # With a registry of its own, it downloads no schemas.
        return validator_class(self.schema, registry=referencing.Registry())


def _mismatch(problem: str) -> ExitError:
    return ExitError(
        f"The response does not match the schema: {problem}. Send the prompt again, or explain the format in it.",
        ExitCode.INCOMPLETE,
    )


def _requires_all_properties(node: Any) -> bool:
    """Return whether each object of the schema requires all its properties. Strict mode would make others nullable."""
    if isinstance(node, list):
        return all(map(_requires_all_properties, node))
    if not isinstance(node, dict):
        return True
    properties = node.get("properties")
    required = node.get("required", [])
    if isinstance(properties, dict) and not (isinstance(required, list) and set(properties) <= set(map(str, required))):
        return False
    return all(map(_requires_all_properties, node.values()))
