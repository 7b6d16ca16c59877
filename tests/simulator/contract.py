# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Validation of requests and responses against ``openapi.yaml``."""

from __future__ import annotations

import contextlib
import json
from functools import cache
from pathlib import Path
from urllib.parse import urljoin

import yaml
from jsonschema_path import SchemaPath
from jsonschema_rs import Draft202012Validator
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest, WerkzeugOpenAPIResponse
from openapi_core.deserializing.media_types.exceptions import MediaTypeDeserializeError
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.validation.request import V31RequestValidator
from openapi_core.validation.response import V31ResponseValidator
from openapi_core.validation.schemas import oas31_schema_validators_factory
from openapi_core.validation.schemas.factories import SchemaValidatorsFactory
from openapi_core.validation.schemas.validators import SchemaValidator

DOCUMENT = Path(__file__).with_name("openapi.yaml")


def parse_json(text, **_parameters):
    """Return the value of a JSON text (bytes or str). Raise ValueError for anything that RFC 8259 does not allow."""

    def reject(constant):
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(text, parse_constant=reject)
    except RecursionError:
        raise ValueError("nested too deeply") from None


class _QuickValidator(SchemaValidator):
    """Accepts a value if the compiled schema does; otherwise openapi-core validates it, for its error messages."""

    compiled = None

    def validate(self, value):
        # The compiled schema raises these for a value that it cannot read, such as a lone surrogate; old versions SystemError.
        with contextlib.suppress(ValueError, SystemError):
            if self.compiled.is_valid(value):
                return
        super().validate(value)


class _QuickValidatorsFactory(SchemaValidatorsFactory):
    """
    Makes one validator for each schema.

    openapi-core's validator takes about 60 ms for 1,000 Interaction objects, the compiled schema less than 1 ms. Both use
    the same dialect of JSON Schema. The compiled schema ignores ``format``, so the document must not use it.
    """

    def __init__(self, document):
        super().__init__(oas31_schema_validators_factory.schema_validator_class)
        self._components = document["components"]
        self._validators = {}

    def create(self, schema, format_validators=None, extra_format_validators=None):
        key = str(schema)
        if key not in self._validators:
            full = super().create(schema, format_validators, extra_format_validators).validator
            quick = _QuickValidator(schema, full)
            quick.compiled = Draft202012Validator({**full.schema, "components": self._components})
            self._validators[key] = quick
        return self._validators[key]


class Contract:
    """The OpenAPI document, which validates werkzeug requests and responses."""

    def __init__(self):
        self.document = yaml.load(DOCUMENT.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        arguments = {
            "schema_validators_factory": _QuickValidatorsFactory(self.document),
            "extra_media_type_deserializers": {"application/json": parse_json},
        }
        spec = SchemaPath.from_dict(self.document)
        self._requests = V31RequestValidator(spec, **arguments)
        self._responses = V31ResponseValidator(spec, **arguments)

    def request_error(self, request):
        """Return the first error of a request as an exception of openapi-core, or None."""
        return next(self._requests.iter_errors(WerkzeugOpenAPIRequest(request)), None)

    def response_error(self, request, response):
        """Return the first error of the response to a request as an exception of openapi-core, or None."""
        return next(
            self._responses.iter_errors(WerkzeugOpenAPIRequest(request), WerkzeugOpenAPIResponse(response)), None
        )

    def methods(self, request):
        """Return the methods, in capitals, that the document has for the path of a request."""
        found = []
        for method in ("GET", "POST"):
            try:
                self._requests.path_finder.find(method.lower(), urljoin(request.host_url, request.path))
            except PathError:
                continue
            found.append(method)
        return found


@cache
def contract():
    """Return the only contract of this process, because reading the document takes most of a simulator's start."""
    return Contract()


def sentence(error):
    """Return the reason of an openapi-core exception in one line, for a ``message``."""
    cause = error.__cause__ or error
    if isinstance(cause, MediaTypeDeserializeError):
        return f"The body is not valid {cause.mimetype}"
    flaws = getattr(cause, "schema_errors", None)
    reason = f"{flaws[0].json_path}: {flaws[0].message}" if flaws else str(cause)
    return (reason if cause is error else f"{error}: {reason}")[:500]
