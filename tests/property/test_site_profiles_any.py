"""Whatever stands in a site file or a profile: a site, or mistakes with their lines, and nothing else."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from gateway.core.errors import SiteFileError
from gateway.site.load import load_site
from gateway.site.profiles import doubts, read_profile

scalars = st.none() | st.booleans() | st.integers(-5, 70_000) | st.floats(allow_nan=False) | st.text(max_size=4)
names = st.sampled_from(["gas", "a1", "temperature", "p1", "p{n}", "own", ""])
anything = st.recursive(
    scalars | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | names, inner, max_size=3),
    max_leaves=6,
)
options = st.dictionaries(
    st.sampled_from(["unit", "address", "status", "heartbeat", "order", "address_offset", "scale_from", "type"]),
    anything,
    max_size=3,
)
channels = st.lists(
    st.fixed_dictionaries({}, optional={"id": names | scalars, "options": options | anything, "unit": anything})
    | anything,
    max_size=3,
)
instruments = st.fixed_dictionaries(
    {"id": st.just("i") | anything, "connection": st.sampled_from(["c", "m"]) | anything},
    optional={
        "profile": st.sampled_from(["honeywell-xcd", "igd-toc-635", "z2m-hs1sa", "./mine.yaml", "./none.yaml", "x"])
        | anything,
        "points": st.lists(st.integers(-1, 3) | st.sampled_from(["1-3", "3-1", "-", "998-1000"]), max_size=3)
        | anything,
        "omit": st.lists(names, max_size=2) | anything,
        "channels": channels | anything,
        "options": options | anything,
        "period_s": anything,
    },
)
profiles = st.fixed_dictionaries(
    {},
    optional={
        "profile": st.just("mine") | anything,
        "driver": st.sampled_from(["modbus", "mqtt", "uart", "none"]) | anything,
        "options": options | anything,
        "channels": channels | anything,
        "point": st.fixed_dictionaries(
            {},
            optional={
                "first": st.integers(0, 5) | anything,
                "last": st.integers(0, 5) | anything,
                "channels": channels | anything,
                "status": st.lists(options | anything, max_size=2) | anything,
            },
        )
        | anything,
        "uncertain": anything,
        "identify": anything,
        "line": anything,
    },
)


def told(folder: Path, data: dict[str, Any]) -> None:
    path = folder / "site.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    try:
        site = load_site(path)
    except SiteFileError as error:
        lines: tuple[str, ...] = error.lines
    else:
        lines = ()
    strangers = [line for line in lines if not line.startswith(("site.json", "mine.yaml"))]
    assert strangers == []
    if lines:
        return
    assert [channel.row for channel in site.channels] == list(range(len(site.channels)))
    doubts(site)


@settings(max_examples=60, phases=[Phase.explicit, Phase.generate])
@given(written=st.lists(instruments | anything, max_size=2), mine=profiles)
@example(written=[{"id": "i", "connection": "c", "profile": "igd-toc-635", "points": [1], "channels": [None]}], mine={})
@example(written=[{"id": "i", "connection": "x", "profile": "honeywell-xcd", "channels": [None, {}]}], mine={})
@example(
    written=[{"id": "i", "connection": "c", "profile": "./mine.yaml", "channels": [{"id": "gas"}]}],
    mine={"profile": "mine", "driver": "modbus", "channels": [{"id": "gas", "options": {"address": 1}}]},
)
def test_any_instrument_over_any_profile_is_a_site_or_mistakes(written: list[Any], mine: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mine.yaml").write_text(json.dumps(mine), encoding="utf-8")
        told(
            Path(folder),
            {
                "site": {"id": "s"},
                "connections": [
                    {"id": "c", "type": "modbus", "options": {"endpoint": "tcp://127.0.0.1"}},
                    {"id": "m", "type": "mqtt"},
                ],
                "instruments": written,
                "outputs": [{"id": "o", "connection": "c", "alarms": ["gas:*"], "options": {"address": 1}}],
            },
        )


@settings(max_examples=60, phases=[Phase.explicit, Phase.generate])
@given(mine=profiles)
def test_any_profile_is_one_or_mistakes(mine: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.yaml"
        path.write_text(json.dumps(mine), encoding="utf-8")
        try:
            lines: tuple[str, ...] = (f"mine.yaml: {read_profile(path).name}",)
        except SiteFileError as error:
            lines = error.lines
        assert lines
        assert [line for line in lines if not line.startswith("mine.yaml")] == []
