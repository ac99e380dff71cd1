# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Sourced by the scripts that build kino on a bare machine. It finds the dependencies of a build and installs missing
# ones: distribution packages with apt, gems into build/gems-*, never into the user's directories. It asks nothing,
# prints what it installs, and is silent if nothing is missing.

kino_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kino_jobs=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
kino_log=$kino_root/build/bootstrap.log
kino_wanted=()
kino_locks=()

say() { printf 'kino: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# logged COMMAND...: runs it silently; shows its output only on failure.
logged() {
  mkdir -p "${kino_log%/*}"
  "$@" >"$kino_log" 2>&1 && return
  tail -n 20 "$kino_log" >&2
  return 1
}

# need PACKAGE PROBE...: PACKAGE is needed unless one PROBE exists: a command, an absolute path, or a header.
need() {
  local package=$1 probe prefix
  shift
  for probe; do
    case $probe in
      /*) [ -e "$probe" ] && return ;;
      *.h | *.hpp)
        for prefix in /usr /usr/local /opt/homebrew; do
          [ -e "$prefix/include/$probe" ] && return
        done
        ;;
      *) command -v "$probe" >/dev/null && return ;;
    esac
  done
  kino_wanted+=("$package")
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n -- "$@"; fi
}

apt_update() {
  [ -n "${kino_apt_updated-}" ] && return
  if ! command -v apt-get >/dev/null; then
    die "missing packages (with their Debian names): $1; there is no apt-get to install them, so install them yourself"
  fi
  if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
    die "missing packages: $1; only root can install them: run 'apt-get install $1' as root, then run this again"
  fi
  logged as_root apt-get -q update || die "apt-get update failed, so these packages cannot be installed: $1"
  kino_apt_updated=yes
}

# Installs what `need` found missing.
install_wanted() {
  [ ${#kino_wanted[@]} -eq 0 ] && return
  apt_update "${kino_wanted[*]}"
  say "installing the packages ${kino_wanted[*]}"
  logged as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y --no-install-recommends install "${kino_wanted[@]}" ||
    die "apt-get could not install: ${kino_wanted[*]}"
  kino_wanted=()
}

need_compiler() {
  need cmake cmake
  need ninja-build ninja
  if [ -n "${CXX-}" ]; then
    command -v "${CXX%% *}" >/dev/null || die "CXX is '$CXX', which does not exist: install it or unset CXX"
  else
    need g++ c++
  fi
  need libconcurrentqueue-dev concurrentqueue/concurrentqueue.h concurrentqueue/moodycamel/concurrentqueue.h
}

need_ruby() {
  if [ -n "${RUBY-}" ]; then
    command -v "$RUBY" >/dev/null || die "RUBY is '$RUBY', which does not exist: install it or unset RUBY"
  else
    need ruby ruby
    command -v ruby >/dev/null || need ruby-dev no-ruby-headers
  fi
  need ca-certificates /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem
}

# After need_ruby and install_wanted: sets kino_ruby, the real path, and kino_ruby_key, one for each ABI.
find_ruby() {
  local answers headers
  mapfile -t answers < <("${RUBY:-ruby}" --disable=gems -rrbconfig -e \
    'puts RbConfig.ruby, RbConfig::CONFIG.values_at("ruby_version", "arch", "rubyhdrdir")')
  [ ${#answers[@]} -eq 4 ] || die "'${RUBY:-ruby}' does not run"
  kino_ruby=${answers[0]} kino_ruby_key=${answers[1]}-${answers[2]} headers=${answers[3]}
  if [ ! -e "$headers/ruby.h" ]; then
    case $kino_ruby in
      /usr/bin/*) need "${kino_ruby##*/}-dev" "$headers/ruby.h" && install_wanted ;;
      *) die "$kino_ruby has no headers ($headers/ruby.h): install them, or set RUBY to a Ruby that has them" ;;
    esac
  fi
}

# Debian 12 has llhttp as C sources inside node-llhttp, which depends on all of Node.js: the sources are extracted
# from the package without installing it.
need_llhttp() {
  local found
  for found in /usr{,/local}/include/llhttp.h /opt/homebrew/include/llhttp.h /usr/share/include/llhttp/llhttp.h; do
    [ -e "$found" ] && return
  done
  export CMAKE_PREFIX_PATH=$kino_root/build/llhttp/usr${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
  [ -e "$kino_root/build/llhttp/usr/share/llhttp/llhttp.c" ] && return
  apt_update libllhttp-dev
  if [ -n "$(apt-cache madison libllhttp-dev)" ]; then
    kino_wanted+=(libllhttp-dev)
    return
  fi
  say "unpacking the sources of llhttp from the package node-llhttp into build/llhttp"
  rm -rf "$kino_root/build/llhttp"
  mkdir -p "$kino_root/build/llhttp"
  (
    cd "$kino_root/build/llhttp" &&
      logged apt-get -q download node-llhttp && dpkg-deb -x node-llhttp_*.deb .
  ) || die "the package node-llhttp, which contains the sources of llhttp, could not be downloaded"
}

# want PACKAGE HEADER: like `need`, but the build does without it where it cannot be installed.
want() {
  local prefix
  for prefix in /usr /usr/local /opt/homebrew; do
    [ -e "$prefix/include/$2" ] && return
  done
  command -v apt-get >/dev/null || return 0
  [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null || return 0
  apt_update "$1"
  [ -n "$(apt-cache madison "$1")" ] && kino_wanted+=("$1")
  return 0
}

# The libraries without which the server has no TLS, no HTTP/2, and no native WebSockets.
want_protocols() {
  want android-libboringssl-dev android/openssl/base.h
  want libnghttp2-dev nghttp2/nghttp2.h
  want libwslay-dev wslay/wslay.h
  want zlib1g-dev zlib.h
}

# missing_gems 'name:requirement'...: prints those that GEM_HOME lacks.
missing_gems() {
  "$kino_ruby" -e 'puts(ARGV.select { |gem| Gem::Specification.find_all_by_name(*gem.split(":")).empty? })' -- "$@"
}

# install_gems 'name:requirement'...: installs missing gems into a separate GEM_HOME.
install_gems() {
  local missing
  export GEM_HOME=$kino_root/build/gems-$kino_ruby_key
  unset GEM_PATH
  mapfile -t missing < <(missing_gems "$@")
  [ ${#missing[@]} -eq 0 ] && return
  say "installing the gems ${missing[*]} into ${GEM_HOME#"$kino_root"/}"
  logged "$kino_ruby" -rrubygems/gem_runner -e 'Gem::GemRunner.new.run(ARGV)' -- \
    install --no-document --conservative "${missing[@]}"
}

# need_gems 'name:requirement'...: installs missing gems, or ends.
need_gems() {
  install_gems "$@" || die "gem could not install: $(missing_gems "$@" | paste -sd ' ')"
}

# want_gem 'name:requirement': the tests that use it are skipped where it cannot be installed.
want_gem() {
  install_gems "$1" || say "gem could not install ${1%%:*}; its tests will be skipped"
}

# want_node_package NAME: makes it available to Node. The tests that use it are skipped where there is no Node or npm.
want_node_package() {
  local home=$kino_root/build/node
  export NODE_PATH=$home/node_modules${NODE_PATH:+:$NODE_PATH}
  [ -d "$home/node_modules/$1" ] && return
  command -v npm >/dev/null || return 0
  say "installing Node's package $1 into build/node"
  mkdir -p "$home"
  logged npm install --silent --no-audit --no-fund --prefix "$home" "$1" || say "npm could not install $1; its tests will be skipped"
}

# need_gem_files DIRECTORY 'name:requirement'...: installs gems whose files are needed as data, without dependencies, into
# a separate directory that is not on any gem path.
need_gem_files() {
  local directory=$1
  shift
  (
    one_at_a_time "$directory"
    [ "$(cat "$directory/installed" 2>/dev/null)" = "$*" ] && exit
    say "installing the gems $* into ${directory#"$kino_root"/}"
    logged "$kino_ruby" -rrubygems/gem_runner -e 'Gem::GemRunner.new.run(ARGV)' -- \
      install --no-document --ignore-dependencies --install-dir "$directory" "$@" ||
      die "gem could not install: $*"
    printf '%s\n' "$*" >"$directory/installed"
  ) || exit
}

# build_dir PRESET [KEY]: a separate directory for each preset, compiler and Ruby.
build_dir() {
  local compiler=${CXX:+-${CXX##*/}}
  printf '%s/build/%s%s%s' "$kino_root" "$1" "${compiler// /}" "${2:+-$2}"
}

# configure PRESET DIRECTORY [CMAKE ARGUMENT...]: quick and silent if nothing has changed since the last time.
configure() {
  local preset=$1 directory=$2 arguments
  shift 2
  command -v ccache >/dev/null && set -- "$@" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache
  arguments="$* ${CMAKE_PREFIX_PATH-}"
  if [ -e "$directory/build.ninja" ] && [ "$(cat "$directory/configured-with" 2>/dev/null)" = "$arguments" ] &&
    [ ! "$kino_root/CMakePresets.json" -nt "$directory/configured-with" ]; then
    return # the build itself detects changes of list files and globs
  fi
  (cd "$kino_root" && logged cmake --fresh --preset "$preset" -B "$directory" "$@") ||
    die "CMake could not configure ${directory#"$kino_root"/}"
  printf '%s\n' "$arguments" >"$directory/configured-with"
}

# one_at_a_time DIRECTORY: prevents other scripts from building there until this one ends.
one_at_a_time() {
  local lock
  command -v flock >/dev/null || return 0
  mkdir -p "$1"
  exec {lock}>"$1/lock"
  kino_locks+=("$lock")
  flock -n "$lock" && return
  say "waiting for another run in ${1#"$kino_root"/}"
  flock "$lock"
}

# without_locks COMMAND...: runs it without the script's locks, so processes that outlive it do not hold them.
without_locks() (
  for lock in ${kino_locks[@]+"${kino_locks[@]}"}; do
    exec {lock}>&-
  done
  exec "$@"
)
