"""The OpenAPI document of the admin API, made from its table of operations. ``python -m seg.admin.openapi FILE`` writes it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import attrs

from seg.admin.wire.changes import StagedEdit
from seg.admin.wire.gateway import DNSStatusAnswer, ErrorAnswer
from seg.admin.wire.operations import OPERATIONS
from seg.admin.wire.route import APIRoute, NoParameters, RawResponse
from seg.common.json_schema import Schema, SchemaWriter, hints
from seg.mail.causes import CauseKind

JSON = "application/json"
ERROR = {"$ref": "#/components/responses/Error"}
NAMES: dict[type, str] = {
    CauseKind: "Cause",
    StagedEdit: "Edit",
    DNSStatusAnswer: "DNS",
}  # of components, where they aren't those of the classes
HEAD: Schema = {
    "openapi": "3.1.0",
    "info": {
        "title": "The admin API of seg",
        "version": "1",
        "description": "HTTP and JSON on the control socket (var/run/seg.sock), and over TLS where [control] address is set. Who may open "
        "the socket is an operator; who it is, the kernel says. Over TLS each request needs a token: 401 without one that counts, 403 for "
        "what its role may not, 429 after too many failures. Times are POSIX seconds, sizes octets.",
    },
    "servers": [
        {"url": "http://localhost", "description": "over the unix socket"},
        {
            "url": "https://{host}:{port}",
            "description": "over TLS, with a token",
            "variables": {
                "host": {"default": "localhost", "description": "a name in the certificate"},
                "port": {"default": "9726"},
            },
        },
    ],
    "security": [{}, {"token": []}],
}
TOKEN: Schema = {
    "type": "http",
    "scheme": "bearer",
    "description": "Over TLS only: a token of seg token add. Role watch: GET of status, metrics, workqueue, dns, suspension and this "
    "description; role look: GET; role act: everything.",
}


def description() -> Schema:
    """The whole document."""
    schemas = SchemaWriter(lambda kind: NAMES.get(kind, kind.__name__.removesuffix("Answer")))
    paths: dict[str, dict[str, Schema]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    error = {"description": "refused", "content": {JSON: {"schema": schemas.of(ErrorAnswer)}}}
    return {
        **HEAD,
        "paths": paths,
        "components": {
            "securitySchemes": {"token": TOKEN},
            "responses": {"Error": error},
            "schemas": dict(sorted(schemas.components.items())),
        },
    }


def text() -> str:
    """The same as JSON."""
    return json.dumps(description(), indent=1, ensure_ascii=False) + "\n"


def _operation(each: APIRoute[Any, Any], schemas: SchemaWriter) -> Schema:
    operation: Schema = {"operationId": each.name, "summary": each.doc}
    if each.takes_body:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schemas.of(each.request)}}}
    elif each.request is not NoParameters:
        operation["parameters"] = _parameters(each, schemas)
    answer = (
        {JSON: {"type": "object"}}.get(each.content_type, {"type": "string"}) if each.answer is RawResponse else None
    )
    content = {each.content_type: {"schema": answer or schemas.of(each.answer)}}
    operation["responses"] = {
        "200": {"description": "done", "content": content},
        **{str(status): ERROR for status in each.refusals},
        "default": ERROR,
    }
    return operation


def _parameters(each: APIRoute[Any, Any], schemas: SchemaWriter) -> list[Schema]:
    defaults = {field.name: field.default for field in attrs.fields(each.request)}
    found = []
    for name, hint in hints(each.request).items():
        schema = schemas.member(hint, defaults[name])
        found.append(
            {
                "name": name,
                "in": "path" if name in each.names else "query",
                "required": defaults[name] is attrs.NOTHING,
                "description": schema.pop("description", ""),
                "schema": schema,
            }
        )
    return found


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), "utf-8")
