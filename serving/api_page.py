"""GET /docs: the OpenAPI document as a page for readers. It has no script, and nothing from other sites."""

from __future__ import annotations

import json
from html import escape
from typing import Any

Json = dict[str, Any]


def api_page(document: Json) -> str:
    """HTML of an OpenAPI document of `serving.openapi`."""
    schemas = document["components"]["schemas"]
    operations = [
        _operation(method.upper(), path, operation, schemas)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    shown = "".join(_schema(name, schema) for name, schema in sorted(schemas.items()))
    return f"""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>The HTTP API</title>
  <link rel="icon" href="icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="page.css">
</head>
<body class="api">
  <header class="top">
    <h1>The HTTP API</h1>
    <p>{escape(document["info"]["title"])}, version {escape(document["info"]["version"])}. A service with a token needs
      the header <code>Authorization: Bearer TOKEN</code>. The same as data: <a href="openapi.json">openapi.json</a>;
      health: <a href="readyz">readyz</a>; for Prometheus: <a href="metrics">metrics</a>; the
      <a href="./">page</a>.</p>
  </header>
  <main>
    {"".join(operations)}
    <h2>The parts of requests and answers</h2>
    {shown}
  </main>
</body>
</html>
"""


def _operation(method: str, path: str, operation: Json, schemas: Json) -> str:
    parts = [
        f"<section class='card'><h2><code>{method} {escape(path)}</code></h2><p>{escape(operation['summary'])}</p>"
    ]
    if body := operation.get("requestBody"):
        content = body["content"]["application/json"]
        parts += [_fields(_resolve(content["schema"], schemas)), _example("A request", content["example"])]
        command = f"curl -H 'Content-Type: application/json' -d '{json.dumps(content['example'])}' HOST{path}"
        parts.append(f"<pre>{escape(command)}</pre>")
    for code, answer in operation["responses"].items():
        content = answer["content"]["application/json"]
        if "example" in content:
            link = _kind(content["schema"])
            parts.append(f"<p>{code}: {escape(answer['description'])}, {link}</p>")
            parts.append(_example("Its form, with invented numbers", content["example"]))
        else:
            parts.append(f"<p class='quiet'>{code}: {escape(answer['description'])}</p>")
    return "".join([*parts, "</section>"])


def _example(title: str, example: Any) -> str:
    return f"<details open><summary>{title}</summary><pre>{escape(json.dumps(example, indent=2))}</pre></details>"


def _schema(name: str, schema: Json) -> str:
    about = escape(" ".join(schema.get("description", "").split()))
    return f"<section class='card' id='{escape(name)}'><h3>{escape(name)}</h3><p>{about}</p>{_fields(schema)}</section>"


def _fields(schema: Json) -> str:
    rows = []
    for name, field in schema.get("properties", {}).items():
        needed = "required" if name in schema.get("required", ()) else f"default {json.dumps(field.get('default'))}"
        about = escape(field.get("description", ""))
        rows.append(f"<tr><th scope='row'><code>{escape(name)}</code></th><td>{_kind(field)}</td><td>{needed}</td>"
                    f"<td>{about}</td></tr>")  # fmt: skip
    return f"<div class='scroll'><table>{''.join(rows)}</table></div>" if rows else ""


def _kind(field: Json) -> str:
    """The type of a field in words, its own schema as a link."""
    if "$ref" in field:
        name = escape(field["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if choices := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(map(_kind, choices))
    if "enum" in field:
        return ", ".join(f"<code>{escape(str(x))}</code>" for x in field["enum"])
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}"
    if field.get("type") == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"{_kind(field['additionalProperties'])} by name"
    return escape(str(field.get("type", "anything")))


def _resolve(schema: Json, schemas: Json) -> Json:
    resolved: Json = schemas[schema["$ref"].rpartition("/")[2]]
    return resolved
