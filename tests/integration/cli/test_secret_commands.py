from collections.abc import Mapping

from pipeline.config.groups import load_settings
from pipeline.process_settings import OperatorSettings
from pipeline.providers.active_secrets import vault_of
from pipeline.records.models import ProviderSecret
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import World
from tests.integration.cli.conftest import Ran, khronika
from tests.scripted_provider import SECRET

GIVEN = "whsec_Z2l2ZW4gYnkgdGhlIHByb3ZpZGVyIGl0c2VsZg=="


def secrets(*arguments: str, env: Mapping[str, str]) -> Ran:
    return khronika("secrets", *arguments, env=env)


def stored(world: World) -> list[str]:
    """Decrypt the stored secrets."""
    settings = load_settings(OperatorSettings)
    vault = vault_of(settings.media_urls.accepted_keys)
    with session_of(world.engine) as session:
        rows = session.query(ProviderSecret).order_by(ProviderSecret.created_at).all()
    return [vault.open(row.secret, account=row.provider) for row in rows]


def test_a_secret_is_rotated_listed_and_retired(
    environment: Mapping[str, str], world: World
) -> None:
    rotated = secrets("rotate", "selfhosted", "--json", env=environment)

    assert rotated.code == 0, rotated.err
    new = rotated.document["secret"]
    assert stored(world) == [SECRET, new]
    assert rotated.document["previous_retires_at"]

    listed = secrets("list", "--json", env=environment)
    assert [row["state"] for row in listed.lines] == ["current", "retiring"]
    assert new not in listed.out
    assert new not in secrets("list", env=environment).out

    again = secrets("rotate", "selfhosted", "--json", env=environment)
    assert (again.code, again.document["error"]["code"]) == (3, "rotation_in_progress")

    assert secrets("retire", "selfhosted", env=environment).code == 0
    listed = secrets("list", "--json", env=environment)
    assert [row["state"] for row in listed.lines] == ["current", "retired"]
    last = secrets("retire", "selfhosted", "--json", env=environment)
    assert (last.code, last.document["error"]["code"]) == (3, "nothing_to_retire")


def test_a_person_is_shown_the_new_secret_alone_on_its_line(
    environment: Mapping[str, str], world: World
) -> None:
    shown = secrets("rotate", "selfhosted", env=environment).out.splitlines()
    assert shown[0] == stored(world)[-1]
    assert shown[1].startswith("the previous secret verifies until ")


def test_a_secret_that_the_provider_made_comes_from_standard_input_and_is_not_repeated(
    environment: Mapping[str, str], world: World
) -> None:
    ran = khronika("secrets", "rotate", "selfhosted", "--stdin", env=environment, given=GIVEN)
    assert ran.code == 0, ran.err
    assert GIVEN not in ran.out
    assert stored(world)[-1] == GIVEN
    wrong = khronika("secrets", "rotate", "selfhosted", "--stdin", env=environment, given="???")
    assert wrong.code == 2
    assert "secret_malformed" in wrong.err


def test_an_account_that_there_is_not_is_named(environment: Mapping[str, str]) -> None:
    ran = secrets("rotate", "nobody", "--json", env=environment)
    assert (ran.code, ran.document["error"]["code"]) == (3, "unknown_provider")
