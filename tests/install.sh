#!/bin/sh
# Installs missing programs: `tests/install.sh redis-server ruby npm python3-venv`.
#
# Uses apt-get or brew. Does not start or enable the servers that it installs: the tests and `--dev` start their
# own, and nothing must listen on port 6379 after a reboot.
set -eu

missing=
for program; do
  case $program in
    ruby-activejob) ruby -e 'require "active_job"' >/dev/null 2>&1 || missing="$missing $program" ;;
    python3-venv) python3 -m ensurepip --version >/dev/null 2>&1 || missing="$missing $program" ;;
    *) command -v "$program" >/dev/null || missing="$missing $program" ;;
  esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  if command -v brew >/dev/null; then
    echo "installing with brew:$missing"
    for program in $missing; do
      case $program in
        redis-server) brew install --quiet redis ;;
        npm) brew install --quiet node ;;
        ruby-activejob) gem install --silent activejob ;;
        python3-venv) brew install --quiet python3 ;;
        *) brew install --quiet "$program" ;;
      esac
    done
    exit
  fi
  echo "not installed, and neither apt-get nor brew is there; please install:$missing" >&2
  exit 1
fi

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo

# Debian's packages start their services when they are installed, unless policy-rc.d forbids it.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
  $as_root chmod +x $policy
  trap '$as_root rm -f $policy' EXIT
  # A shell that a signal kills does not run the EXIT trap.
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
fi

echo "installing with apt-get:$missing"
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends $missing >/dev/null

case $missing in
  *redis-server*)
    # The package enables its service. This disables it again, for init scripts and for systemd. deb-systemd-helper
    # needs the variable when it is called outside a package's own script.
    $as_root update-rc.d redis-server disable >/dev/null
    $as_root env DPKG_MAINTSCRIPT_PACKAGE=redis-server \
      deb-systemd-helper disable redis-server.service >/dev/null
    ;;
esac
