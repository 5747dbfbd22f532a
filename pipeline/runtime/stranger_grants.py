"""Revocation of rights on our objects from every role that is not ours.

A site may give its roles rights on all new tables by default privileges, as Supabase does for
``anon``, ``authenticated`` and ``service_role``, and PostgreSQL lets everybody execute a new
function. Our migrations grant rights by name, so that every other right is one too many.
"""

from sqlalchemy import Connection, text

from pipeline.runtime.migration_history import MigrationHistory

_RIGHTS = """
    WITH tables AS (
        SELECT oid FROM pg_class
        WHERE relnamespace = to_regnamespace(:schema) AND relkind IN ('r', 'p')
          AND (relname = ANY (:tables) OR relname = 'alembic_version')
    ), relations AS (
        SELECT oid FROM tables
        UNION SELECT inhrelid FROM pg_inherits WHERE inhparent IN (SELECT oid FROM tables)
        UNION SELECT s.oid FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
              WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                AND d.deptype IN ('a', 'i') AND d.refobjid IN (SELECT oid FROM tables)
    ), rights AS (
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
               format('%I.%I', :schema, c.relname) AS thing, c.relowner AS owner, x.grantee
        FROM relations JOIN pg_class c USING (oid), aclexplode(c.relacl) x
        UNION
        SELECT 'TABLE', format('%I.%I', :schema, c.relname), c.relowner, x.grantee
        FROM relations JOIN pg_class c USING (oid) JOIN pg_attribute a ON a.attrelid = c.oid,
             aclexplode(a.attacl) x
        UNION
        SELECT 'FUNCTION',
               format('%I.%I(%s)', :schema, p.proname, pg_get_function_identity_arguments(p.oid)),
               p.proowner, x.grantee
        FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
        WHERE p.pronamespace = to_regnamespace(:schema) AND p.proname LIKE ANY (:functions)
    )
    SELECT kind, thing, coalesce(quote_ident(r.rolname), 'PUBLIC')
    FROM rights LEFT JOIN pg_roles r ON r.oid = grantee
    WHERE grantee <> owner AND NOT coalesce(r.rolname LIKE 'khronika\\_%', false)
    ORDER BY 1, 2, 3
"""
"""A function's argument names do not matter to REVOKE, which reads only their types."""


_DEFAULTS = """
    SELECT DISTINCT format('%s get %s on new %s of %s%s', coalesce(r.rolname, 'all roles'),
        string_agg(DISTINCT x.privilege_type, ', '),
        CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
                             WHEN 'f' THEN 'functions' END,
        o.rolname, coalesce(' in schema ' || n.nspname, ''))
    FROM pg_default_acl d JOIN pg_roles o ON o.oid = d.defaclrole
    LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace,
         aclexplode(d.defaclacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
    WHERE d.defaclobjtype IN ('r', 'S', 'f') AND x.grantee <> d.defaclrole
      AND NOT (d.defaclobjtype = 'f' AND x.grantee = 0)
      AND (n.oid IS NULL OR n.nspname IN ('public', 'transcoder'))
      AND NOT coalesce(r.rolname LIKE 'khronika\\_%', false)
    GROUP BY r.rolname, d.defaclobjtype, o.rolname, n.nspname
    ORDER BY 1
"""


def generous_defaults(connection: Connection) -> list[str]:
    """Return the default privileges that give roles which are not ours rights on new objects.

    They are the site's: its own tables may need them, so they stay. The migrations and the function
    of new partitions revoke what they give on our objects, in the transaction that makes them.
    PostgreSQL's own default, that everybody executes a new function, is left out.
    """
    return list(connection.scalars(text(_DEFAULTS)))


def revoke_strangers(connection: Connection, history: MigrationHistory) -> list[str]:
    """Revoke every right on a history's objects from the roles that are not ours.

    The rights of the objects' owner stay. Dependent rights, which a stranger has passed on, go too.

    Returns:
        The revoked rights, for example ``TABLE public.alembic_version from anon``.
    """
    found = connection.execute(
        text(_RIGHTS),
        {
            "schema": history.schema or "public",
            "tables": list(history.tables),
            "functions": list(history.functions),
        },
    ).all()
    for kind, thing, role in found:
        connection.exec_driver_sql(f"REVOKE ALL ON {kind} {thing} FROM {role} CASCADE")
    return [f"{kind} {thing} from {role}" for kind, thing, role in found]
