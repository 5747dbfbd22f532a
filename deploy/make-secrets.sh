#!/bin/sh
# Makes the secrets of compose.yaml that do not exist yet: deploy/make-secrets.sh [FOLDER]
#
# Run it as root: the files then belong to the user of the image. One that exists is never changed.
set -eu
umask 077
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
make() { [ -s "$folder/$1" ] || printf '%s\n' "$2" > "$folder/$1"; }
key() { openssl rand -base64 32; }
password() { openssl rand -hex 24; }

make owner_password "$(password)"
make owner_database_url "postgresql://khronika_owner:$(cat "$folder/owner_password")@postgres/khronika"
for part in api public operator worker transcoder; do
    make "${part}_database_url" "postgresql://khronika_$part:$(password)@postgres/khronika"
done
make broker_password "$(password)"
make broker_url "redis://:$(cat "$folder/broker_password")@broker/0"
for name in secret_key jwt_secret metrics_token transcoder_token; do
    make "$name" "$(key)"
done
make webhook_secret "whsec_$(key)"
make flower.env "FLOWER_BASIC_AUTH=operator:$(password)"

if [ "$(id -u)" = 0 ]; then
    chown -R 10001:10001 "$folder"
fi
