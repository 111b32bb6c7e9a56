"""The editor's schema of profile files agrees with the profiles that the gateway takes."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from gateway.site.examples import shipped
from gateway.site.profiles import profile_names

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/profile.schema.json").read_text(encoding="utf-8"))


def as_json(data: Any) -> Any:
    """Return YAML's data as an editor sees it: JSON knows no keys but texts."""
    if isinstance(data, dict):
        return {str(key).lower() if isinstance(key, bool) else str(key): as_json(item) for key, item in data.items()}
    return [as_json(item) for item in data] if isinstance(data, list) else data


def problems(data: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(as_json(data))]


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_fits_the_schema(name: str) -> None:
    assert problems(YAML(typ="safe").load(shipped("profiles", f"{name}.yaml").read_text(encoding="utf-8"))) == []


def test_a_misspelt_option_does_not_fit() -> None:
    channel = {"id": "gas", "options": {"adress": 1}}
    assert problems({"profile": "mine", "driver": "modbus", "channels": [channel]})
