"""Write the reference pages and the editor's JSON Schema from the models that the gateway itself uses.

`python -m docs.generate` writes, `python -m docs.generate --check` says what is stale and ends with 1.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.registry import Kind, load, names
from gateway.site import schema

REFERENCE = Path(__file__).parent / "reference"
TITLES = {Kind.DRIVER: "Driver", Kind.DETECTOR: "Detector", Kind.UPLINK: "Uplink", Kind.STORE: "Store"}
PARTS = {
    "Options": "Options",
    "InstrumentOptions": "Options of an instrument",
    "ChannelOptions": "Options of a channel",
}


def pages() -> Iterator[tuple[Path, str]]:
    """Yield every generated file with its text."""
    yield REFERENCE / "site-file.md", _site_page()
    yield REFERENCE / "site.schema.json", json.dumps(_site_schema(), indent=1, ensure_ascii=False) + "\n"
    for kind in Kind:
        for name in names(kind):
            module = load(kind, name)
            yield REFERENCE / f"{TITLES[kind].lower()}-{name}.md", _plugin_page(kind, name, module)


def _plugin_page(kind: Kind, name: str, module: ModuleType) -> str:
    lines = [f"# {TITLES[kind]} `{name}`", "", *_summary(module), ""]
    for attribute, title in PARTS.items():
        model = getattr(module, attribute, None)
        if model is not None:
            lines += [f"## {title}", "", *_table(model), ""]
    return "\n".join(lines)


def _summary(module: ModuleType) -> list[str]:
    return (module.__doc__ or "").strip().splitlines()


def _site_page() -> str:
    sections = {
        "site": schema.SiteSection,
        "connections[]": schema.ConnectionSection,
        "instruments[]": schema.InstrumentSection,
        "instruments[].channels[]": schema.ChannelSection,
        "rules[]": schema.RuleSection,
        "stores[], uplinks[]": schema.DestinationSection,
        "secrets.NAME": schema.SecretSection,
        "storage": schema.StorageSection,
        "api": schema.ApiSection,
    }
    lines = [
        "# The site file",
        "",
        "One YAML (or JSON) file describes a site. `hazgate check SITE.yaml` tells every mistake with its line.",
        "Each `options` takes what the page of the driver, detector, store or uplink says.",
        "A channel that no `fault` rule names gets one by itself: silence never looks safe.",
        "",
    ]
    for title, model in sections.items():
        lines += [f"## `{title}`", "", (model.__doc__ or "").strip(), "", *_table(model), ""]
    return "\n".join(lines)


def _table(model: type[BaseModel]) -> list[str]:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, info in model.model_fields.items():
        rows.append(f"| `{key}` | {_type(model, key)} | {_default(info)} | {_meaning(info)} |")
    return rows


def _type(model: type[BaseModel], key: str) -> str:
    schema_of = model.model_json_schema()
    return _words(schema_of["properties"].get(key, {}), schema_of.get("$defs", {})).replace("|", "\\|")


def _words(part: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in part:
        name = part["$ref"].rsplit("/", 1)[1]
        target = definitions.get(name, {})
        return " or ".join(f"`{v}`" for v in target["enum"]) if "enum" in target else name.removesuffix("Section")
    if "enum" in part:
        return " or ".join(f"`{v}`" for v in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(_words(p, definitions) for p in part["anyOf"] if p.get("type") != "null"))
    if part.get("type") == "array":
        return f"list of {_words(part['items'], definitions)}" if "items" in part else "list"
    return {"object": "mapping", "string": "text", "integer": "whole number"}.get(
        part.get("type", ""), part.get("type", "any")
    )


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if info.default_factory is not None or info.default is None or info.default in ("", ()):
        return ""
    value = info.default
    return f"`{json.dumps(value) if isinstance(value, (bool, int, float, str)) else value}`"


def _meaning(info: FieldInfo) -> str:
    text = info.description or ""
    example = f" Example: `{info.examples[0]}`." if info.examples else ""
    return (text + example).replace("|", "\\|").replace("\n", " ")


def _site_schema() -> dict[str, Any]:
    """The site file's schema, with each plugin's options by its type."""
    whole = schema.SiteFile.model_json_schema()
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    whole["title"] = "Hazgate site file"
    definitions = whole["$defs"]
    for section, kind in (("ConnectionSection", Kind.DRIVER), ("RuleSection", Kind.DETECTOR)):
        definitions[section]["allOf"] = [_when(kind, name, definitions) for name in names(kind)]
    definitions["DestinationSection"]["allOf"] = [
        _when(kind, name, definitions) for kind in (Kind.UPLINK, Kind.STORE) for name in names(kind)
    ]
    return whole


def _when(kind: Kind, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    options = load(kind, name).Options.model_json_schema(ref_template="#/$defs/{model}")
    definitions.update(options.pop("$defs", {}))
    return {
        "if": {"properties": {"type": {"const": name}}},
        "then": {"properties": {"options": options}},
    }


def main() -> int:
    """Write the pages, or check them."""
    check = "--check" in sys.argv[1:]
    stale = []
    for path, text in pages():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not check:
            path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{'stale' if check else 'written'}: {path.relative_to(REFERENCE.parent.parent)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
