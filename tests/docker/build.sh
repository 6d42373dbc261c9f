#!/bin/sh
# Builds the Dockerfile with buildah, without a registry, and lets the binary of the image enqueue a job.
#
# The stand-in for `rust:1-alpine` is a minimal Debian with the Rust toolchain of this host, in which `apk`
# installs nothing. Needs root, Debian, redis-server, and the packages buildah and debootstrap.
set -eu
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
image=rescue-scheduler-test
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
buildah_() { buildah --root "$work/storage" --runroot "$work/run" "$@"; }
clean_up() {
  redis-cli -p "${port:-0}" shutdown nosave >/dev/null 2>&1 || true
  buildah_ umount --all >/dev/null 2>&1 || true
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT

echo "== a stand-in for rust:1-alpine"
root=$work/root
debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev stable "$root" >"$work/log" 2>&1 ||
  { cat "$work/log"; exit 1; }
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
mkdir -p "$root/opt"
cp -a "$(rustc --print sysroot)" "$root/opt/rust"
printf '#!/bin/sh\n' >"$root/usr/bin/apk"
chmod +x "$root/usr/bin/apk"
# Rust on Alpine links statically by default. With glibc it needs a flag, and then writes to another folder.
mkdir "$root/opt/bin"
cat >"$root/opt/bin/cargo" <<'SH'
#!/bin/sh
set -e
target=x86_64-unknown-linux-gnu
RUSTFLAGS="-C target-feature=+crt-static" /opt/rust/bin/cargo "$@" --target $target
cp target/$target/release/rescue-scheduler target/release/
SH
chmod +x "$root/opt/bin/cargo"
base=$(buildah_ from scratch)
buildah_ add --quiet "$base" "$root" / >/dev/null
buildah_ config --env PATH=/opt/bin:/opt/rust/bin:/usr/bin:/bin "$base"
buildah_ commit --quiet "$base" docker.io/library/rust:1-alpine >/dev/null
buildah_ rm "$base" >/dev/null
rm -rf --one-file-system "$root"

echo "== docker build"
buildah_ build --pull-never --tag $image .

echo "== the image"
container=$(buildah_ from --pull-never $image)
mounted=$(buildah_ mount "$container")
find "$mounted" -type f -exec ls -lh {} +
if ldd "$mounted/rescue-scheduler" 2>/dev/null | grep -q '=>'; then
  echo "the binary is not static" >&2
  exit 1
fi

echo "== a job"
port=$((20000 + $$ % 20000))
redis-server --port $port --save '' --daemonize yes >/dev/null
until redis-cli -p $port ping >/dev/null 2>&1; do :; done
# Every container engine gives a container these devices.
mkdir -p "$mounted/dev" "$mounted/schedules"
mknod -m 666 "$mounted/dev/random" c 1 8
mknod -m 666 "$mounted/dev/urandom" c 1 9
printf '[schedule.Hello]\ncron = "* * * * *"\nqueue = "greetings"\n' >"$mounted/schedules/hello.toml"
for at in 2026-11-23T11:59:30Z 2026-11-23T12:00:01Z; do
  chroot --userspec=65532:65532 "$mounted" /rescue-scheduler --quiet --once --yes --at $at \
    --redis-url redis://127.0.0.1:$port /schedules/hello.toml
done
job=$(redis-cli -p $port lrange resque:queue:greetings 0 -1)
echo "$job"
[ "$job" = '{"class":"Hello","args":[]}' ]
