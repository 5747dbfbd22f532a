"""The audit as a chain of hashes that only one role extends, and the retention of what is kept.

``khronika_auditor`` is nobody's login. It owns the functions that chain a new row at the commit of
its transaction, remove old rows, and remove addresses and bodies. No login of ours can update or
delete a row of the audit.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

AUDITOR = "khronika_auditor"

CHAIN_COLUMNS = {
    "chain_position": "bigint",
    "previous_hash": "bytea",
    "hash": "bytea",
    "source_salt": "bytea",
    "source_digest": "bytea",
}
AUDITED = "type, reason, actor, provider, source, request_id, detail"
DELIVERED = "status, reason, tries, next_try_at, settled_at, asset_id"

OF_CALLBACKS = "'callback_rejected', 'callback_conflict'"
OF_WORKERS = "'callback_ignored', 'subscription_confirmed'"

GRANTS = (
    ("audit_events", AUDITOR, f"SELECT, DELETE, UPDATE ({', '.join(CHAIN_COLUMNS)}, source)"),
    ("audit_chain_ends", AUDITOR, "SELECT, INSERT, UPDATE"),
    (
        "webhook_deliveries",
        AUDITOR,
        "SELECT (id, status, received_at, emptied_at), UPDATE (headers, body, query, emptied_at)",
    ),
    ("audit_chain_ends", "khronika_operator", "SELECT"),
)
# (name, table, role, policy command, USING, WITH CHECK); None leaves the clause out.
POLICIES = (
    ("auditor", "audit_events", AUDITOR, "ALL", "true", "true"),
    ("auditor", "audit_chain_ends", AUDITOR, "ALL", "true", "true"),
    ("empties", "webhook_deliveries", AUDITOR, "ALL", "true", "true"),
    ("reads", "audit_chain_ends", "khronika_operator", "SELECT", "true", None),
    ("reads", "audit_events", "khronika_worker", "SELECT", "true", None),
    (
        "records",
        "audit_events",
        "khronika_worker",
        "INSERT",
        None,
        f"actor = 'provider:' || provider AND type IN ({OF_WORKERS})",
    ),
    ("reads", "audit_events", "khronika_operator", "SELECT", "true", None),
    (
        "records",
        "audit_events",
        "khronika_operator",
        "INSERT",
        None,
        f"actor LIKE 'operator:%' AND type NOT IN ({OF_CALLBACKS}, {OF_WORKERS})",
    ),
)
# Policies that allowed a login more than it means, with the privileges that went with them.
REPLACED = (("worker", "khronika_worker"), ("operator", "khronika_operator"))

PINNED = "SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"

# The head's row is the lock. It is taken at the commit, when the transaction needs no other lock,
# and lasts as long as the commit. No other role can lock it. A writer that has waited reads the
# head that the earlier one wrote, in READ COMMITTED. The address has a hash of its own, with a
# salt, so that it can be removed later and cannot be guessed from what is left.
CHAIN = f"""
    CREATE FUNCTION khronika_chain_audit(row_id bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE {PINNED} AS $$
    DECLARE
        head audit_chain_ends;
        salt bytea;
        digest bytea;
        linked bytea;
    BEGIN
        INSERT INTO audit_chain_ends (name, chain_position, hash) VALUES ('head', 0, '')
        ON CONFLICT DO NOTHING;
        SELECT * INTO head FROM audit_chain_ends WHERE name = 'head' FOR UPDATE;
        SELECT uuid_send(gen_random_uuid()) INTO salt FROM audit_events
        WHERE id = row_id AND source IS NOT NULL;
        UPDATE audit_events e
        SET chain_position = head.chain_position + 1, previous_hash = head.hash,
            source_salt = salt, source_digest = sha256(salt || convert_to(source, 'UTF8'))
        WHERE id = row_id RETURNING source_digest INTO digest;
        UPDATE audit_events e
        SET hash = sha256(head.hash || convert_to(jsonb_build_array(
                head.chain_position + 1, id, extract(epoch FROM created_at), type, reason, actor,
                provider, encode(digest, 'hex'), request_id, detail)::text, 'UTF8'))
        WHERE id = row_id RETURNING e.hash INTO linked;
        UPDATE audit_chain_ends SET chain_position = head.chain_position + 1, hash = linked
        WHERE name = 'head';
    END $$
"""  # noqa: S608 - a text of this file
CHAIN_NEW = f"""
    CREATE FUNCTION khronika_chain_new() RETURNS trigger LANGUAGE plpgsql {PINNED} AS $$
    BEGIN
        PERFORM khronika_chain_audit(NEW.id);
        RETURN NULL;
    END $$
"""
# The least number of days is here, so that the worker's login cannot remove what is recent.
PRUNE = f"""
    CREATE FUNCTION khronika_prune_audit(days integer, batch integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE {PINNED} AS $$
    DECLARE
        cutoff timestamptz := now() - make_interval(days => greatest(days, 30));
        last_removed audit_events;
        removed integer;
    BEGIN
        PERFORM FROM audit_chain_ends WHERE name = 'head' FOR UPDATE;
        WITH oldest AS (
            SELECT chain_position, created_at FROM audit_events
            WHERE chain_position IS NOT NULL ORDER BY chain_position LIMIT batch
        )
        SELECT e.* INTO last_removed FROM audit_events e WHERE e.chain_position = (
            SELECT max(o.chain_position) FROM oldest o WHERE NOT EXISTS (
                SELECT FROM oldest k
                WHERE k.chain_position <= o.chain_position AND k.created_at >= cutoff));
        IF last_removed.id IS NULL THEN
            RETURN 0;
        END IF;
        DELETE FROM audit_events WHERE chain_position <= last_removed.chain_position;
        GET DIAGNOSTICS removed = ROW_COUNT;
        INSERT INTO audit_chain_ends AS known (name, chain_position, hash)
        VALUES ('removed', last_removed.chain_position, last_removed.hash)
        ON CONFLICT (name) DO UPDATE
        SET chain_position = excluded.chain_position, hash = excluded.hash;
        RETURN removed;
    END $$
"""  # noqa: S608 - a text of this file
FORGET = f"""
    CREATE FUNCTION khronika_forget_addresses(days integer, batch integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE {PINNED} AS $$
    DECLARE
        forgotten integer;
    BEGIN
        UPDATE audit_events SET source = NULL, source_salt = NULL WHERE id IN (
            SELECT id FROM audit_events
            WHERE source IS NOT NULL
              AND created_at < now() - make_interval(days => greatest(days, 1))
            ORDER BY created_at LIMIT batch);
        GET DIAGNOSTICS forgotten = ROW_COUNT;
        RETURN forgotten;
    END $$
"""  # noqa: S608 - a text of this file
EMPTY = f"""
    CREATE FUNCTION khronika_empty_deliveries(days integer, batch integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE {PINNED} AS $$
    DECLARE
        emptied integer;
    BEGIN
        UPDATE webhook_deliveries SET headers = '{{}}', body = '', query = '', emptied_at = now()
        WHERE id IN (
            SELECT id FROM webhook_deliveries
            WHERE status <> 'new' AND emptied_at IS NULL
              AND received_at < now() - make_interval(days => greatest(days, 1))
            ORDER BY received_at LIMIT batch);
        GET DIAGNOSTICS emptied = ROW_COUNT;
        RETURN emptied;
    END $$
"""  # noqa: S608 - a text of this file

# Signature → (definition, the roles that may call it).
FUNCTIONS = {
    "khronika_chain_audit(bigint)": (CHAIN, ()),
    "khronika_chain_new()": (CHAIN_NEW, ()),
    "khronika_prune_audit(integer, integer)": (PRUNE, ("khronika_worker",)),
    "khronika_forget_addresses(integer, integer)": (FORGET, ("khronika_worker",)),
    "khronika_empty_deliveries(integer, integer)": (EMPTY, ("khronika_worker",)),
}


def upgrade() -> None:
    _make_auditor()
    _make_tables()
    for table, role, privileges in GRANTS:
        op.execute(f"GRANT {privileges} ON {table} TO {role}")
    for part, role in REPLACED:
        op.execute(f"REVOKE INSERT ON audit_events FROM {role}")
        op.execute(f"GRANT INSERT ({AUDITED}) ON audit_events TO {role}")
        op.execute(f"DROP POLICY {role}_{part} ON audit_events")
    op.execute("REVOKE UPDATE ON webhook_deliveries FROM khronika_worker")
    op.execute(f"GRANT UPDATE ({DELIVERED}) ON webhook_deliveries TO khronika_worker")
    for name, table, role, command, using, check in POLICIES:
        seen = f"USING ({using})" if using else ""
        written = f"WITH CHECK ({check})" if check else ""
        op.execute(
            f"CREATE POLICY {role}_{name} ON {table} FOR {command} TO {role} {seen} {written}"
        )
    _make_functions()
    op.execute("SELECT khronika_chain_audit(id) FROM (SELECT id FROM audit_events ORDER BY id) e")
    _guard_audit()


def _make_auditor() -> None:
    op.execute(f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{AUDITOR}') THEN
                CREATE ROLE {AUDITOR} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END $$
    """)
    op.execute(f"GRANT {AUDITOR} TO CURRENT_USER")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {AUDITOR}")


def _make_tables() -> None:
    added = ", ".join(f"ADD COLUMN {name} {type_}" for name, type_ in CHAIN_COLUMNS.items())
    op.execute(f"ALTER TABLE audit_events {added}")
    op.execute("CREATE UNIQUE INDEX audit_events_chain ON audit_events (chain_position)")
    op.execute("""
        CREATE INDEX audit_events_addresses ON audit_events (created_at) WHERE source IS NOT NULL
    """)
    op.execute("ALTER TABLE webhook_deliveries ADD COLUMN emptied_at timestamptz")
    op.execute("""
        CREATE INDEX webhook_deliveries_bodies ON webhook_deliveries (received_at)
        WHERE status <> 'new' AND emptied_at IS NULL
    """)
    op.execute("""
        CREATE TABLE audit_chain_ends (
            name text PRIMARY KEY
                CONSTRAINT audit_chain_ends_name CHECK (name IN ('head', 'removed')),
            chain_position bigint NOT NULL,
            hash bytea NOT NULL
        )
    """)
    op.execute("ALTER TABLE audit_chain_ends ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE audit_chain_ends FORCE ROW LEVEL SECURITY")


def _make_functions() -> None:
    op.execute(f"GRANT CREATE ON SCHEMA public TO {AUDITOR}")
    for signature, (definition, callers) in FUNCTIONS.items():
        op.execute(definition)
        op.execute(f"ALTER FUNCTION {signature} OWNER TO {AUDITOR}")
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        for caller in callers:
            op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {caller}")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {AUDITOR}")


def _guard_audit() -> None:
    op.execute("""
        CREATE CONSTRAINT TRIGGER audit_events_chain AFTER INSERT ON audit_events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION khronika_chain_new()
    """)
    op.execute(f"""
        CREATE TRIGGER audit_events_no_change BEFORE UPDATE OR DELETE ON audit_events
        FOR EACH ROW WHEN (current_user <> '{AUDITOR}')
        EXECUTE FUNCTION khronika_refuse_change()
    """)
    op.execute("""
        CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION khronika_refuse_change()
    """)


def downgrade() -> None:
    for trigger in ("audit_events_no_truncate", "audit_events_no_change", "audit_events_chain"):
        op.execute(f"DROP TRIGGER {trigger} ON audit_events")
    for signature in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {signature}")
    for name, table, role, *_ in POLICIES:
        op.execute(f"DROP POLICY {role}_{name} ON {table}")
    for part, role in REPLACED:
        op.execute(f"REVOKE INSERT ({AUDITED}) ON audit_events FROM {role}")
        op.execute(f"GRANT INSERT ON audit_events TO {role}")
        op.execute(
            f"CREATE POLICY {role}_{part} ON audit_events FOR ALL TO {role}"
            " USING (true) WITH CHECK (true)"
        )
    op.execute(f"REVOKE UPDATE ({DELIVERED}) ON webhook_deliveries FROM khronika_worker")
    op.execute("GRANT UPDATE ON webhook_deliveries TO khronika_worker")
    op.execute("DROP TABLE audit_chain_ends")
    op.execute(f"REVOKE ALL ON webhook_deliveries, audit_events FROM {AUDITOR}")
    op.execute(f"REVOKE ALL ON SCHEMA public FROM {AUDITOR}")
    op.execute("DROP INDEX webhook_deliveries_bodies")
    op.execute("ALTER TABLE webhook_deliveries DROP COLUMN emptied_at")
    op.execute("DROP INDEX audit_events_addresses")
    dropped = ", ".join(f"DROP COLUMN {name}" for name in CHAIN_COLUMNS)
    op.execute(f"ALTER TABLE audit_events {dropped}")
