#!/bin/sh
# Installs what some tests want of the system, where that is possible; elsewhere names what is
# missing and which tests want it. Never fails: the tests themselves say what they miss.
set -u

# Without a network apt would try each mirror again and again.
apt() { apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@"; }

is_there() {
	case $1 in
	chromium) # Other names of it do as well: tests/browser/conftest.py looks for the same.
		command -v chromium || command -v chromium-browser || command -v google-chrome ;;
	*) dpkg -s "$1" ;;
	esac >/dev/null 2>&1
}

# The tests start servers of their own. A package starts its service while it is installed, unless
# this program of the administrator answers 101 (invoke-rc.d(8)), and enables it for the next boot.
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
kept=$policy.kept-by-check-system

exists() { [ -e "$1" ] || [ -L "$1" ]; }

forbid_starts() {
	exists "$kept" || ! exists "$policy" || mv "$policy" "$kept"
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

allow_starts() {
	rm -f "$policy"
	! exists "$kept" || mv "$kept" "$policy"
}

enabled_units() {
	command -v systemctl >/dev/null || return 0
	systemctl list-unit-files --state=enabled --no-legend 2>/dev/null | cut -d' ' -f1
}

install() {
	before=$(enabled_units)
	trap 'allow_starts; exit 130' HUP INT TERM
	forbid_starts
	{ apt update; DEBIAN_FRONTEND=noninteractive apt install -y "$1"; } >/dev/null 2>&1
	allow_starts
	trap - HUP INT TERM
	for unit in $(enabled_units); do
		printf '%s\n' "$before" | grep -qxF "$unit" || systemctl disable "$unit" >/dev/null 2>&1
	done
}

have() {
	is_there "$1" && return 0
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	echo "check-system: installing $1"
	install "$1"
	is_there "$1"
}

have libfaketime ||
	echo "check-system: libfaketime is missing, the tests of wrong clocks are skipped (apt-get install libfaketime)"
have pgbouncer ||
	echo "check-system: pgbouncer is missing, the tests through it are skipped (apt-get install pgbouncer)"
have rabbitmq-server ||
	echo "check-system: RabbitMQ is missing, the tests over it are skipped (apt-get install rabbitmq-server)"
have nginx-light ||
	echo "check-system: nginx is missing, the tests behind it are skipped (apt-get install nginx-light)"
have caddy ||
	echo "check-system: Caddy is missing, the tests behind it are skipped (apt-get install caddy)"
have prometheus ||
	echo "check-system: promtool is missing, the tests of alerts and dashboard are skipped (apt-get install prometheus)"
have chromium ||
	echo "check-system: chromium is missing, no test of tests/browser can run (apt-get install chromium)"
exit 0
