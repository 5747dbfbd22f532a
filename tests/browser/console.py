"""The operators' console and Flower of a running stack, as a signed-in operator sees them."""

from playwright.sync_api import Page

from tests.running import RunningStack

OPERATOR = "ops"


def sign_in(page: Page, stack: RunningStack) -> None:
    """Sign in to /ops with a token, through the form."""
    page.goto(f"{stack.base_url}/ops/sign-in")
    page.get_by_label("Operator's token or key").fill(stack.token(OPERATOR, "service_role"))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()


def open_tasks(page: Page, stack: RunningStack) -> None:
    """Open Flower's list of tasks, and wait until it shows some."""
    page.goto(f"http://127.0.0.1:{stack.environment['KHRONIKA_FLOWER_PORT']}/tasks")
    page.locator("#tasks-table tbody tr td:nth-child(2)").first.wait_for()
