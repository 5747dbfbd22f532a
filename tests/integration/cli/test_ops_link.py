from collections.abc import Mapping
from getpass import getuser

from tests.integration.api.conftest import Client
from tests.integration.api.operator import Operator
from tests.integration.cli.conftest import khronika


def test_the_link_signs_whoever_made_it_in_to_the_console(
    api: Client, environment: Mapping[str, str]
) -> None:
    here = {**environment, "KHRONIKA_PUBLIC_URL": api.url}
    made = khronika("ops-link", "--json", env=here)
    assert (made.code, made.document["subject"]) == (0, getuser())
    operator = Operator(api)
    page = operator.submit(operator.get(made.document["url"]).form("/ops/sign-in"))
    assert page.answer.url == f"{api.url}/ops"
    assert getuser() in page.text

    reads = khronika("ops-link", "--read-only", "--json", env=here)
    reader = Operator(api)
    page = reader.submit(reader.get(reads.document["url"]).form("/ops/sign-in"))
    assert "reads only" in page.text
