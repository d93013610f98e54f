"""The examples in the OpenAPI document are what the site answers."""

from __future__ import annotations

import pytest

from connector_site.api_examples import EXAMPLES, of_row
from tests.access.keys import Program
from tests.connector_site.story import tell_story


@pytest.mark.parametrize("resource", sorted(EXAMPLES))
def test_an_example_is_what_the_site_answers(db: None, resource: str) -> None:
    program = Program(tell_story())
    example = of_row(resource)
    told = program.get(f"/api/v1/{resource}/{example['id']}/", headers={"Host": "testserver"}).json()
    for name, link in told["links"].items():
        told["links"][name] = link.replace("http://testserver/", "https://connectors.example.com/")
    assert told == example
