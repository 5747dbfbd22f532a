"""Owners replace the address of a source by a fresh one of the same file.

Signed addresses expire. The part before the query and the fragment names the file, and stays.
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TRIGGER = "video_assets_source_stays"
ROLES = ("khronika_api", "khronika_operator")
TYPE = "'source_readdressed'"
USER = "(SELECT nullif(current_setting('khronika.user_id', true), ''))"
OF_OWNERS = "'created', 'retried', 'cancelled', 'reencode_requested', 'deleted'"
OF_OPERATORS = f"{OF_OWNERS}, 'enqueued', 'rolled_back'"
OF_COMMANDS = "'move_requested', 'written_off'"
NOT_OF_WORKERS = (
    "'created', 'cancelled', 'reencode_requested', 'deleted', 'enqueued', 'rolled_back', "
    f"{OF_COMMANDS}"
)


def _policies(more: str) -> dict[str, tuple[str, str]]:
    """Return each policy of the chronicle's writers, with these types beside their own."""
    return {
        "khronika_api_owner_writes": (
            "khronika_api",
            f"actor = 'owner:' || {USER} AND type IN ({OF_OWNERS}{more})",
        ),
        "khronika_operator_writes": (
            "khronika_operator",
            f"actor LIKE 'operator:%' AND type IN ({OF_OPERATORS}{more})",
        ),
        "khronika_worker_writes": (
            "khronika_worker",
            (
                "((actor IN ('worker', 'sweep') OR actor LIKE 'provider:%')"
                f" AND type NOT IN ({NOT_OF_WORKERS}{more}))"
                f" OR (actor LIKE 'operator:%' AND type IN ({OF_COMMANDS}))"
            ),
        ),
    }


def _replace_policies(more: str) -> None:
    for name, (role, check) in _policies(more).items():
        op.execute(f"DROP POLICY {name} ON video_processing_events")
        op.execute(
            f"CREATE POLICY {name} ON video_processing_events FOR INSERT TO {role}"
            f" WITH CHECK ({check})"
        )


def upgrade() -> None:
    for role in ROLES:
        op.execute(f"GRANT UPDATE (source_url) ON video_assets TO {role}")
    _replace_policies(f", {TYPE}")
    op.execute(f"""
        CREATE TRIGGER {TRIGGER} BEFORE UPDATE OF source_url ON video_assets FOR EACH ROW
        WHEN (OLD.source_url IS NULL OR NEW.source_url IS NULL
              OR regexp_replace(OLD.source_url, '[?#].*', '')
                 <> regexp_replace(NEW.source_url, '[?#].*', ''))
        EXECUTE FUNCTION khronika_refuse_value()
    """)


def downgrade() -> None:
    op.execute(f"DROP TRIGGER {TRIGGER} ON video_assets")
    _replace_policies("")
    for role in ROLES:
        op.execute(f"REVOKE UPDATE (source_url) ON video_assets FROM {role}")
