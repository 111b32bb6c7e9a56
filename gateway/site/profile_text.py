"""What a profile says, for people: the YAML that names it in a site file, and where its channels stand."""

import re
from typing import Any

from gateway.site.profiles import Profile
from gateway.site.schema import ChannelSection

FILLED = re.compile(r"\{(\w+)\}")
WORD = re.compile(r"\w+")
FILL = {"name": "kitchen-1", "id": "4CBAE1", "dev_eui": "24e124710c140001"}
MANUAL = {"coil": 1, "discrete": 10001, "input": 30001, "holding": 40001}


def example(profile: Profile) -> str:
    """Return the connection and the instrument of a site file that read by a profile."""
    file = profile.file
    name = min((file.profile, *file.aliases), key=len)
    fields = [f"id: {WORD.findall(file.kind or 'head')[0]}-01", "connection: line1", f"profile: {name}"]
    if file.point is not None:
        first = file.point.first
        fields.append(f'points: [{first}, "{first + 1}-{first + 9}"]')
    named = [channel.id for channel in file.channels if channel.extra]
    if file.point is None and len(named) == len(file.channels):
        fields.append("channels: [{id: " + (named[0] if named else "temperature") + "}]")
    options = _options(profile)
    if options:
        fields.append(f"options: {options}")
    return "\n".join(
        (
            "connections:",
            f"  - {{id: line1, type: {file.driver}, options: {_line(profile)}}}",
            "instruments:",
            f"  - {{{', '.join(fields)}}}",
        )
    )


def _line(profile: Profile) -> str:
    line = profile.file.line
    settings = {"baud": line.baud, "parity": line.parity, "stop_bits": line.stop_bits}
    usual = {"baud": 9600, "parity": "N", "stop_bits": 1}
    unusual = "".join(f", {key}: {value}" for key, value in settings.items() if value not in (None, usual[key]))
    if line.over == "tcp":
        return '{endpoint: "tcp://192.168.1.20"}'
    return {
        "modbus": f'{{endpoint: "rtu:///dev/serial/by-id/…"{unusual}}}',
        "uart": f"{{port: /dev/serial/by-id/…{unusual}}}",
        "mqtt": "{host: 192.168.1.5}",
    }.get(profile.file.driver, "{}")


def _options(profile: Profile) -> str:
    if profile.file.driver == "modbus":
        return f"{{unit: {profile.file.line.unit or 1}}}"
    names = sorted(set(FILLED.findall(str(profile.file.options.get("topic", "")))))
    return f"{{fill: {{{', '.join(f'{name}: {FILL.get(name, name)}' for name in names)}}}}}" if names else ""


def place(channel: ChannelSection, driver: str) -> str:
    """Return where a channel stands, in one line: `holding 102 (40103) float32`, `smoke`, `byte 2`."""
    options: dict[str, Any] = channel.options
    if driver == "modbus":
        table, address = options.get("table", "holding"), options["address"]
        manual = f" ({address + MANUAL[table]:05d})" if table in MANUAL and address < 9999 else ""
        kind = f" bit {options['bit']}" if "bit" in options else f" {options['type']}" if "type" in options else ""
        return f"{table} {address}{manual}{kind}"
    if driver == "uart":
        return f"byte {options['byte']} {options.get('type', 'uint16')}"
    return str(options.get("path") or options.get("field") or options.get("topic_suffix") or "payload")
