"""The site with a rule and a test of every kind: it passes, and no kind of detector is missing."""

from pathlib import Path

import pytest

from gateway import trial
from gateway.registry import Kind, names
from gateway.site.load import load_site
from gateway.site.plans import Site

SITE = Path(__file__).parents[2] / "config" / "sites" / "rule-tests.yaml"


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(SITE)


def test_there_is_a_rule_of_every_kind(site: Site) -> None:
    assert {rule.type for rule in site.rules} == set(names(Kind.DETECTOR))


def test_every_kind_has_a_test_that_sees_it_speak(site: Site) -> None:
    kind = {rule.id: rule.type for rule in site.rules}
    spoken = set()
    for test in site.file.tests:
        for expectation in test.expect:
            spoken |= {kind[alarm] for alarm, level in (expectation.alarms or {}).items() if level != "normal"}
            if expectation.alarm is not None and expectation.becomes != "normal":
                spoken.add(kind[expectation.alarm])
    assert spoken == set(names(Kind.DETECTOR))


@pytest.mark.timeout(300)
def test_all_tests_pass(site: Site) -> None:
    outcomes = [trial.run(site, test) for test in site.file.tests]
    failed = {o.test.id: [failure.what for failure in o.failures] for o in outcomes if not o.passed}
    assert failed == {}
