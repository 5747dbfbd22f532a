#!/bin/sh
# Restores a backup into an empty database: deploy/restore.sh FILE
#
# DATABASE_URL is the owner's login of the empty database. The roles must exist on the server: on a
# new one, run `khronika migrate --set-logins`, drop the database that it has filled, and create it
# again.
set -eu
file=${1:?the file to read}
run() { psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname="$DATABASE_URL" --command="$1"; }
# These roles own functions, and may create none but while they are restored.
roles='khronika_auditor, khronika_viewer'
run "GRANT CREATE ON SCHEMA public TO $roles"
pg_restore --exit-on-error --single-transaction --dbname="$DATABASE_URL" "$file"
run "REVOKE CREATE ON SCHEMA public FROM $roles"
