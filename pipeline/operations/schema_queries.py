"""Queries of the catalogue check: one for each section, with the columns (name, description).

The parameters are ``tables`` (oids of our existing tables), ``functions`` and ``roles`` (our
names); other objects in the database belong to the site. PostgreSQL renders the descriptions, so
that two spellings of the same object are equal.
"""

from collections.abc import Mapping

SECTIONS: Mapping[str, str] = {
    "enum": """
        SELECT format_type(enumtypid, NULL), string_agg(enumlabel, ', ' ORDER BY enumsortorder)
        FROM pg_enum WHERE enumtypid = to_regtype('public.video_processing_status')
        GROUP BY enumtypid
    """,
    "role": """
        SELECT r.rolname, concat_ws(', ',
            CASE WHEN r.rolcanlogin THEN 'login' ELSE 'no login' END,
            CASE WHEN r.rolsuper THEN 'SUPERUSER' END,
            CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
            CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
            CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
            CASE WHEN r.rolreplication THEN 'REPLICATION' END,
            (SELECT 'member of ' || string_agg(g.rolname, ', ' ORDER BY g.rolname)
             FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid))
        FROM pg_roles r WHERE r.rolname = ANY (:roles)
    """,
    "table": """
        SELECT t.relname, concat_ws(', ',
            coalesce('partitioned by ' || pg_get_partkeydef(t.oid), 'plain'),
            'owned by ' || CASE WHEN pg_get_userbyid(t.relowner) = ANY (:roles)
                                THEN pg_get_userbyid(t.relowner) ELSE 'the migrator' END)
        FROM pg_class t WHERE t.oid = ANY (:tables)
    """,
    "row security": """
        SELECT t.relname, concat_ws(', ',
            CASE WHEN t.relrowsecurity THEN 'enabled' ELSE 'disabled' END,
            CASE WHEN t.relforcerowsecurity THEN 'forced' ELSE 'not forced' END)
        FROM pg_class t WHERE t.oid = ANY (:tables)
    """,
    "column": """
        SELECT t.relname || '.' || a.attname, concat_ws(' ',
            format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'not null' END,
            CASE a.attidentity WHEN 'a' THEN 'identity' WHEN 'd' THEN 'identity by default' END,
            'default ' || pg_get_expr(d.adbin, d.adrelid))
        FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE t.oid = ANY (:tables) AND a.attnum > 0 AND NOT a.attisdropped
    """,
    # Since PostgreSQL 18 NOT NULL is a named constraint; the section above already has it.
    "constraint": """
        SELECT t.relname || '.' || c.conname, pg_get_constraintdef(c.oid)
        FROM pg_class t JOIN pg_constraint c ON c.conrelid = t.oid
        WHERE t.oid = ANY (:tables) AND c.contype IN ('c', 'f', 'p', 'u', 'x')
          AND c.conparentid = 0
    """,
    "index": """
        SELECT t.relname || '.' || i.relname, concat_ws(' ', pg_get_indexdef(i.oid),
            CASE WHEN NOT x.indisvalid THEN 'INVALID' END)
        FROM pg_class t JOIN pg_index x ON x.indrelid = t.oid
        JOIN pg_class i ON i.oid = x.indexrelid
        WHERE t.oid = ANY (:tables)
    """,
    "policy": r"""
        SELECT t.relname || '.' || p.polname, regexp_replace(concat_ws(' ',
            CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
            CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                          WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            'to ' || (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END,
                                        ', ' ORDER BY r) FROM unnest(p.polroles) r),
            'using ' || pg_get_expr(p.polqual, p.polrelid),
            'check ' || pg_get_expr(p.polwithcheck, p.polrelid)), '\s+', ' ', 'g')
        FROM pg_class t JOIN pg_policy p ON p.polrelid = t.oid WHERE t.oid = ANY (:tables)
    """,
    "trigger": """
        SELECT t.relname || '.' || g.tgname, pg_get_triggerdef(g.oid)
            || CASE WHEN g.tgenabled IN ('O', 'A') THEN '' ELSE ' DISABLED' END
        FROM pg_class t JOIN pg_trigger g ON g.tgrelid = t.oid
        WHERE t.oid = ANY (:tables) AND NOT g.tgisinternal
    """,
    # The sweep makes a partition for each month, so the names are not compared. Each partition must
    # have the table's protection. A statement trigger is not inherited: TRUNCATE needs its own.
    "partitions": """
        SELECT t.relname, format(
            'without forced row security: %s; without triggers that refuse changes: %s; '
            'with grants: %s',
            coalesce(string_agg(p.relname, ', ' ORDER BY p.relname)
                FILTER (WHERE NOT (p.relrowsecurity AND p.relforcerowsecurity)), 'none'),
            coalesce(string_agg(p.relname, ', ' ORDER BY p.relname)
                FILTER (WHERE NOT coalesce(refused.by_both, false)), 'none'),
            coalesce(string_agg(p.relname, ', ' ORDER BY p.relname)
                FILTER (WHERE EXISTS (SELECT FROM aclexplode(p.relacl) x
                                      WHERE x.grantee <> p.relowner)), 'none'))
        FROM pg_class t JOIN pg_inherits h ON h.inhparent = t.oid
        JOIN pg_class p ON p.oid = h.inhrelid
        CROSS JOIN LATERAL (
            -- Bits of tgtype: 1 for each row, 8 DELETE, 16 UPDATE, 32 TRUNCATE (pg_trigger.h).
            SELECT bool_or(g.tgtype & 57 = 56) AND bool_or(g.tgtype & 25 = 25) AS by_both
            FROM pg_trigger g
            WHERE g.tgrelid = p.oid AND g.tgenabled IN ('O', 'A')
              AND g.tgfoid = to_regproc('public.khronika_refuse_change')
        ) refused
        WHERE t.oid = ANY (:tables) AND t.relkind = 'p'
        GROUP BY t.relname
    """,
    "function": """
        SELECT p.oid::regprocedure::text, concat_ws(', ',
            CASE WHEN p.prosecdef THEN 'security definer' ELSE 'security invoker' END,
            CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable'
                               ELSE 'volatile' END,
            'owned by ' || CASE WHEN pg_get_userbyid(p.proowner) = ANY (:roles)
                                THEN pg_get_userbyid(p.proowner) ELSE 'the migrator' END,
            array_to_string(p.proconfig, ', '), 'body ' || left(md5(p.prosrc), 12))
        FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.proname = ANY (:functions)
    """,
    "grant": """
        WITH granted AS (
            SELECT t.relname AS thing, x.grantee, x.is_grantable, x.privilege_type AS privilege
            FROM pg_class t, aclexplode(t.relacl) x
            WHERE t.oid = ANY (:tables) AND x.grantee <> t.relowner
            UNION ALL
            SELECT s.relname, x.grantee, x.is_grantable, x.privilege_type
            FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S',
                 aclexplode(s.relacl) x
            WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
              AND d.deptype IN ('a', 'i') AND d.refobjid = ANY (:tables) AND x.grantee <> s.relowner
            UNION ALL
            SELECT t.relname, x.grantee, x.is_grantable, format('%s (%s)', x.privilege_type,
                   string_agg(a.attname, ', ' ORDER BY a.attname))
            FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid, aclexplode(a.attacl) x
            WHERE t.oid = ANY (:tables) AND x.grantee <> t.relowner
            GROUP BY t.relname, x.grantee, x.is_grantable, x.privilege_type
            UNION ALL
            SELECT p.oid::regprocedure::text, x.grantee, x.is_grantable, x.privilege_type
            FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
            WHERE p.pronamespace = 'public'::regnamespace AND p.proname = ANY (:functions)
              AND x.grantee <> p.proowner
            UNION ALL
            -- A role that may create in the schema could shadow the calls of a definer's function.
            SELECT 'schema public', x.grantee, x.is_grantable, x.privilege_type
            FROM pg_namespace n, aclexplode(n.nspacl) x
            WHERE n.nspname = 'public' AND (pg_get_userbyid(x.grantee) = ANY (:roles)
               OR (x.grantee = 0 AND x.privilege_type = 'CREATE'))
        )
        SELECT thing || '.' || coalesce(r.rolname, 'PUBLIC'), string_agg(
            privilege || CASE WHEN is_grantable THEN ' with grant option' ELSE '' END,
            ', ' ORDER BY privilege)
        FROM granted LEFT JOIN pg_roles r ON r.oid = grantee
        GROUP BY 1
    """,
}
