"""Write the reference pages and the editor's JSON Schema from the models that the gateway itself uses.

`python -m docs.generate` writes, `python -m docs.generate --check` says what is stale and ends with 1.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.core.model import Level
from gateway.core.plugin import Binding
from gateway.registry import Kind, load, names
from gateway.site import operation, profile_schema, schema
from gateway.site.profile_text import example, place
from gateway.site.profiles import Profile, shipped_profiles

REFERENCE = Path(__file__).parent / "reference"
TITLES = {kind: kind.name.capitalize() for kind in Kind}
PARTS = {
    "Options": "Options",
    "InstrumentOptions": "Options of an instrument",
    "ChannelOptions": "Options of a channel",
    "OutputOptions": "Options of an output",
}


def pages() -> Iterator[tuple[Path, str]]:
    """Yield every generated file with its text."""
    yield REFERENCE / "site-file.md", _site_page()
    yield REFERENCE / "site.schema.json", json.dumps(_site_schema(), indent=1, ensure_ascii=False) + "\n"
    yield REFERENCE / "profiles.md", _profiles_page()
    yield REFERENCE / "profile.schema.json", json.dumps(_profile_schema(), indent=1, ensure_ascii=False) + "\n"
    for kind in Kind:
        for name in names(kind):
            module = load(kind, name)
            yield REFERENCE / f"{TITLES[kind].lower()}-{name}.md", _plugin_page(kind, name, module)


def _plugin_page(kind: Kind, name: str, module: ModuleType) -> str:
    lines = [f"# {TITLES[kind]} `{name}`", "", *_summary(module), ""]
    if kind is Kind.DETECTOR:
        lines += [*_judges(module), ""]
    for attribute, title in PARTS.items():
        model = getattr(module, attribute, None)
        if model is not None:
            lines += [f"## {title}", "", *_table(model), ""]
    parts = [model for attribute in PARTS if (model := getattr(module, attribute, None)) is not None]
    for model in _nested(parts):
        lines += [f"## {_title(model.__name__)}", "", (model.__doc__ or "").strip(), "", *_table(model), ""]
    return "\n".join(lines)


BINDINGS = {
    Binding.EACH: "One rule a channel.",
    Binding.GROUP: "One rule for all channels of an area, or as `per` of the rule says.",
    Binding.PEERS: "One rule a channel, which looks at the others of the same quantity, unit and area (`per`) too.",
}


def _judges(module: ModuleType) -> list[str]:
    """Return what a detector's module says of its rules."""
    reported = [level.name for level in getattr(module, "LEVELS", (Level.LOW, Level.HIGH))]
    learns = any(
        isinstance(each, type) and each.__module__ == module.__name__ and hasattr(each, "relearn")
        for each in vars(module).values()
    )
    learning = "Learns what is normal; learns nothing in alarm, and can be relearned." if learns else "Learns nothing."
    return [
        "| rules | levels | learning |",
        "|---|---|---|",
        f"| {BINDINGS[Binding(getattr(module, 'BINDING', Binding.EACH))]} | {', '.join(reported)} | {learning} |",
    ]


def _nested(models: Sequence[type[BaseModel]]) -> list[type[BaseModel]]:
    """Return the models that stand in fields of `models`, and in those of them, each once."""
    found: list[type[BaseModel]] = []
    waiting = [info.annotation for model in models for info in model.model_fields.values()]
    while waiting:
        kind = waiting.pop(0)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if kind not in found:
                found.append(kind)
                waiting += [info.annotation for info in kind.model_fields.values()]
        else:
            waiting += get_args(kind)
    return found


def _title(name: str) -> str:
    """Return what a nested model is called on a page: `TimeFieldOptions` is a time field."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Section").removesuffix("Options")).capitalize()


def _summary(module: ModuleType) -> list[str]:
    return (module.__doc__ or "").strip().splitlines()


def _site_page() -> str:
    sections = {
        "site": schema.SiteSection,
        "areas[]": operation.AreaSection,
        "shifts[]": operation.ShiftSection,
        "connections[]": schema.ConnectionSection,
        "instruments[]": schema.InstrumentSection,
        "instruments[].channels[]": schema.ChannelSection,
        "instruments[].calibration": operation.CalibrationSection,
        "instruments[].checklist[]": operation.CheckSection,
        "instruments[].position": operation.PositionSection,
        "rules[]": schema.RuleSection,
        "alarms": operation.AlarmsSection,
        "alarms.shelving": operation.ShelvingSection,
        "suppressions[]": operation.SuppressionSection,
        "response": operation.ResponseSection,
        "response.limits": operation.StepLimitsSection,
        "outputs[]": schema.OutputSection,
        "stores[], uplinks[]": schema.DestinationSection,
        "notifications": operation.NotificationsSection,
        "notifications.notifiers[]": operation.NotifierSection,
        "notifications.routes[]": operation.RouteSection,
        "plans[]": operation.PlanSection,
        "tests[]": schema.TestSection,
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


def _profiles_page() -> str:
    profiles = shipped_profiles()
    lines = [
        "# Profiles",
        "",
        "Instruments that a site file reads by name: `profile: NAME` and an address. `hazgate profiles NAME` shows the",
        "same in the terminal; how to write one of your own is told in [a how-to](../how-to/write-a-profile.md).",
        "",
        "Confidence is how far the source of a map can be believed. What nobody has verified is listed with each",
        "instrument, and `hazgate check` shows it until the site file settles it.",
        "",
        "| name | maker and model | for | driver | confidence |",
        "|---|---|---|---|---|",
        *(
            f"| [{p.name}](#{p.name}) | {p.file.maker} {p.file.model} | {p.file.kind} | {p.file.driver} |"
            f" {p.file.confidence} |"
            for p in profiles
        ),
        "",
    ]
    for profile in profiles:
        lines += _profile(profile)
    lines += ["## Keys of a profile file", ""]
    sections = {
        "profile": profile_schema.ProfileFile,
        "line": profile_schema.LineSection,
        "channels[]": profile_schema.ProfileChannelSection,
        "point": profile_schema.PointSection,
        "point.channels[]": profile_schema.PointChannelSection,
        "uncertain[]": profile_schema.UncertainSection,
        "identify": profile_schema.IdentifySection,
        "identify.registers[]": profile_schema.MarkSection,
    }
    for title, model in sections.items():
        lines += [f"### `{title}`", "", (model.__doc__ or "").strip(), "", *_table(model), ""]
    return "\n".join(lines)


def _profile(profile: Profile) -> list[str]:
    file = profile.file
    also = f" Also called {', '.join(f'`{alias}`' for alias in file.aliases)}." if file.aliases else ""
    lines = [
        f"## {file.profile}",
        "",
        f"{file.maker} {file.model} ({file.name_zh}); {file.kind}.{also}",
        f"Source: {file.source}. Confidence: {file.confidence}.",
        "",
        "```yaml",
        example(profile),
        "```",
        "",
        "| channel | measures | unit | where | read |",
        "|---|---|---|---|---|",
    ]
    read: list[tuple[schema.ChannelSection, str]] = [
        (channel, "when named" if channel.extra else "always") for channel in file.channels
    ]
    points = [(channel, "each point") for channel in (file.point.channels if file.point else ())]
    lines += [
        f"| `{c.id}` | {c.quantity or c.id} | {c.unit} | {place(c, file.driver)} | {when} |"
        for c, when in [*read, *points]
    ]
    lines += ["", *(f"- Not verified: {u.what}. {u.why} {u.check}" for u in file.uncertain), ""]
    return [*lines, *((file.notes, "") if file.notes else ())]


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
        return _named(part["$ref"].rsplit("/", 1)[1], definitions)
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


def _named(name: str, definitions: dict[str, Any]) -> str:
    target = definitions.get(name, {})
    if "enum" in target:
        return " or ".join(f"`{v}`" for v in target["enum"])
    called = _title(name).lower()
    # The pages of plugins describe such a part further down; those of files have a heading of its place.
    return f"[{called}](#{called.replace(' ', '-')})" if name.endswith("Options") else called


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
    definitions["NotifierSection"]["allOf"] = [_when(Kind.NOTIFIER, name, definitions) for name in names(Kind.NOTIFIER)]
    return whole


def _profile_schema() -> dict[str, Any]:
    """The schema of profile files, with each driver's options of instruments and channels."""
    whole = profile_schema.ProfileFile.model_json_schema()
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    whole["title"] = "Hazgate profile"
    definitions = whole["$defs"]
    whole["allOf"] = []
    for name in names(Kind.DRIVER):
        instrument, channel = (
            _inlined(getattr(load(Kind.DRIVER, name), part), definitions)
            for part in ("InstrumentOptions", "ChannelOptions")
        )
        channels = {"items": {"properties": {"options": channel}}}
        whole["allOf"].append(
            {
                "if": {"properties": {"driver": {"const": name}}},
                "then": {"properties": {"options": instrument, "channels": channels}},
            }
        )
    return whole


def _inlined(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a model's schema, its own definitions put among the others; two models of one name must not differ."""
    name = f"{model.__module__.replace('.', '_')}_"
    options = model.model_json_schema(ref_template="#/$defs/" + name + "{model}")
    definitions.update({name + key: item for key, item in options.pop("$defs", {}).items()})
    return options


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
