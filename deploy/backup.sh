#!/bin/sh
# Writes a backup of the database: deploy/backup.sh FILE
#
# BACKUP_DATABASE_URL is the login of khronika_backup (backup-role.sql). A backup holds personal
# data and the encrypted callback secrets: store it encrypted, and KHRONIKA_SECRET_KEY elsewhere.
set -eu
umask 077
file=${1:?the file to write}
# A dump that breaks off leaves no file that looks whole.
pg_dump --format=custom --file="$file.partial" --dbname="$BACKUP_DATABASE_URL"
mv "$file.partial" "$file"
