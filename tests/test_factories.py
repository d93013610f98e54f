"""The two brands of the tests are complete and apart: otherwise tests of who sees what would prove little."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.forms.models import model_to_dict

from access.rules import brand_path_of
from tests.factories import make_two_brands

pytestmark = pytest.mark.django_db


def test_every_kind_of_row_that_belongs_to_a_brand_is_there():
    amber, birch = make_two_brands()
    for model in apps.get_models():
        if hasattr(model, "brand_path"):
            assert amber.row_of(model) is not None, model
            assert birch.row_of(model) is not None, model


def test_every_row_leads_to_its_own_brand():
    for world in make_two_brands():
        for row in world.rows:
            if not hasattr(row, "brand_path") or row == world.brand:
                continue
            found = type(row)._default_manager.filter(**{brand_path_of(type(row)): world.brand}, pk=row.pk)
            assert found.exists(), row


def test_nothing_of_one_brand_stands_in_a_row_of_the_other():
    amber, birch = make_two_brands()
    for world, other in ((amber, birch), (birch, amber)):
        for row in world.rows:
            text = repr({name: _shown(value) for name, value in model_to_dict(row).items()})
            assert not [canary for canary in other.canaries if canary in text], row


def _shown(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value
