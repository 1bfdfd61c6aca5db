#!/usr/bin/env bash
# Container images without a registry and without Docker: buildah, on base images that are made of Debian's packages.
# node.py runs it in a mount namespace of its own, so that no mount of buildah's stays behind.
#   images.sh pause PROGRAM TAR              the image that holds a pod's namespaces, as an archive
#   images.sh build TAG CONTEXT TAR FILE     the Dockerfile FILE in CONTEXT, as an archive
#   images.sh forget                         remove all of it
# STORE is the folder that images are kept in. Dockerfiles have no heredoc and no COPY --link: Debian 12's buildah knows neither.
set -euo pipefail
: "${STORE:?}" "${PYTHON_VERSION:=3.13}"
SUITE=$(. /etc/os-release && echo "$VERSION_CODENAME")
export DEBIAN_FRONTEND=noninteractive
DEBIAN=docker.io/library/debian:$SUITE-slim
PYTHON=docker.io/library/python:$PYTHON_VERSION-slim
LIBRARIES=ca-certificates,netbase,tzdata,libssl3,libffi8,libsqlite3-0,libreadline8,zlib1g,libbz2-1.0,liblzma5,libncursesw6,libuuid1,libexpat1

say() { printf '%s\n' "$*"; }
bah() { buildah --root "$STORE/images" --runroot "$STORE/images-run" --storage-driver overlay "$@"; }
there() { bah inspect --type image "$1" >/dev/null 2>&1; }

debian() {
  if there "$DEBIAN"; then return; fi
  say "making debian:$SUITE-slim of Debian's packages"
  local sources container
  sources=$(ls /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -1 || true)
  mmdebstrap --quiet --variant=minbase --include="$LIBRARIES" "$SUITE" "$STORE/debian.tar" "$sources"
  container=$(bah from scratch)
  bah add -q "$container" "$STORE/debian.tar" / >/dev/null && rm "$STORE/debian.tar"
  bah config --cmd bash "$container" && bah commit -q --rm "$container" "$DEBIAN" >/dev/null
}

# A CPython that this machine has under pyenv, since no registry can be asked; else Debian's own, of another version.
python() {
  if there "$PYTHON"; then return; fi
  debian
  local container root tree
  container=$(bah from --pull-never "$DEBIAN")
  tree=$(ls -d "$(pyenv root 2>/dev/null || echo /none)/versions/$PYTHON_VERSION".* 2>/dev/null | tail -1 || true)
  if [ -n "$tree" ]; then
    say "making python:$PYTHON_VERSION-slim of $(basename "$tree")"
    root=$(bah mount "$container")
    tar -C "$tree" --exclude='lib/python*/test' --exclude='*.a' --exclude=__pycache__ --exclude='lib/python*/site-packages' \
      -c bin/python3 "bin/python$PYTHON_VERSION" include lib | tar -x --no-same-owner -C "$root/usr/local"
    env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" sh -ec \
      'ldconfig; ln -sf python3 /usr/local/bin/python; python -m ensurepip >/dev/null 2>&1; ln -sf pip3 /usr/local/bin/pip'
    bah umount "$container" >/dev/null
  else
    say "making python:$PYTHON_VERSION-slim of Debian's python3, which is another version"
    bah run --isolation chroot "${TRUST[@]}" "$container" -- sh -ec \
      'apt-get update -qq; apt-get install -y -qq --no-install-recommends python3 python3-venv
       python3 -m venv /usr/local; rm -rf /var/lib/apt/lists/*' >/dev/null
  fi
  bah config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin --env LANG=C.UTF-8 --cmd python3 "$container"
  bah commit -q --rm "$container" "$PYTHON" >/dev/null
}

# How this machine reaches the package registries, lent to the build alone.
TRUST=()
for file in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
  [ ! -f "$file" ] || TRUST+=(-v "$file:$file:ro")
done

pause() { # PROGRAM TAR
  local container tag=node.internal/pause:1
  container=$(bah from scratch)
  bah copy -q "$container" "$1" /pause >/dev/null && bah config --entrypoint '["/pause"]' "$container"
  bah commit -q --rm "$container" "$tag" >/dev/null
  archive "$tag" "$2"
}

build() { # TAG CONTEXT TAR FILE
  python
  say "building $1"
  bah build --layers --pull-never --isolation chroot --network host --build-arg "PYTHON=$PYTHON_VERSION" "${TRUST[@]}" -t "$1" -f "$2/$4" "$2"
  archive "$1" "$3"
}

archive() { # TAG TAR; whole or not at all
  rm -f "$2.part"
  bah push -q "$1" "docker-archive:$2.part:$1" && mv "$2.part" "$2"
}

forget() {
  bah rm --all >/dev/null 2>&1 || true
  rm -rf "$STORE/images" "$STORE/images-run"
}

mkdir -p "$STORE"
case ${1:-} in
  pause | build | forget) "$@" ;;
  *) sed -n '2,8p' "$0" && exit 2 ;;
esac
