"""Who works for one brand, in a browser: of another brand's rows no list, no address and no search tells anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.conftest import sign_in
from tests.browser.test_admin import section
from tests.stack import Stack

if TYPE_CHECKING:
    from playwright.sync_api import Page

MINE, THEIRS = "demo-air", "demo-parcels"
# Asked for a brand, these refuse it, of which the browser complains.
NARROWED_TO_NO_BRAND = {f"/admin/{page}/" for page in ("find", "access/brand", "access/user", "access/apikey")}
THEIR_PHONE = "+15550100"
THEIR_WORDS = (THEIRS, "Demo Parcels", "90000001", "Ada", THEIR_PHONE, "Where is my parcel?")
USER, PASSWORD = "mona", "correct horse battery"


def test_somebody_of_one_brand_meets_nothing_of_another(admin: Page, stack: Stack) -> None:
    theirs = _addresses_of_their_rows(admin)
    assert len({address.split("/")[3] for address in theirs}) >= 8, theirs
    _let_in(admin)
    _sign_out(admin)
    sign_in(admin, username=USER, password=PASSWORD)

    for address in _menu(admin):
        admin.goto(address)
        shown = admin.locator("body").inner_text()
        assert not [word for word in THEIR_WORDS if word in shown], address
        assert not [row for row in theirs if row in admin.content()], address
    section(admin, "Conversations")
    admin.get_by_role("link", name="Grace").first.wait_for()
    # Not by opening them: of an answer of 404 the browser complains.
    assert {admin.request.get(stack.url + address, max_redirects=0).status for address in theirs} == {404}
    section(admin, "Find")
    admin.get_by_label("Id or phone number").fill(THEIR_PHONE)
    admin.get_by_role("button", name="Find").click()
    admin.get_by_text("Nothing").first.wait_for()
    assert "Ada" not in admin.locator("main").inner_text()


def _addresses_of_their_rows(page: Page) -> set[str]:
    """Of every list's rows those that go when it is narrowed to the other brand; and the brand itself."""
    section(page, "Brands")
    theirs, mine = (str(page.get_by_role("link", name=one).get_attribute("href")) for one in (THEIRS, MINE))
    found = {theirs}
    for address in set(_menu(page)) - NARROWED_TO_NO_BRAND:
        found |= _rows(page, f"{address}?brand={_id_in(theirs)}") - _rows(page, f"{address}?brand={_id_in(mine)}")
    return found


def _rows(page: Page, address: str) -> set[str]:
    page.goto(address)
    links = page.locator("#result_list tbody th a").all()
    return {str(link.get_attribute("href")).partition("?")[0] for link in links}


def _id_in(address: str) -> str:
    return address.split("/")[4]


def _menu(page: Page) -> list[str]:
    """The pages that the sidebar offers to this person."""
    links = page.locator("#nav-sidebar a[href^='/admin/']").all()
    return sorted({str(link.get_attribute("href")).partition("?")[0] for link in links})


def _let_in(page: Page) -> None:
    """A new person with a role in one brand, by the forms."""
    page.goto("/admin/access/user/add/")
    page.get_by_label("Username").fill(USER)
    page.locator("[name=password1]").fill(PASSWORD)
    page.locator("[name=password2]").fill(PASSWORD)
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto("/admin/access/membership/add/")
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Brand").select_option(label=MINE)
    page.get_by_label("Role").select_option(label="Owner")
    page.get_by_role("button", name="Save", exact=True).click()


def _sign_out(page: Page) -> None:
    page.context.clear_cookies()
