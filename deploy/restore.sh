#!/bin/sh
# Restores a backup into an empty database: deploy/restore.sh FILE
#
# DATABASE_URL is the owner's login of the empty database. The roles must exist on the server: on a
# new one, run `khronika migrate --set-logins`, drop the database that it has filled, and create it
# again.
set -eu
file=${1:?the file to read}

# Roles without a login own functions, and may create none but while these are restored.
let_roles() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname="$DATABASE_URL" <<SQL
DO \$\$
DECLARE holder name;
BEGIN
    FOR holder IN SELECT rolname FROM pg_roles WHERE rolname LIKE 'khronika\\_%' AND NOT rolcanlogin
    LOOP
        EXECUTE format('$1 CREATE ON SCHEMA public $2 %I', holder);
    END LOOP;
END \$\$
SQL
}

trap 'let_roles REVOKE FROM' EXIT
let_roles GRANT TO
pg_restore --exit-on-error --single-transaction --dbname="$DATABASE_URL" "$file"
