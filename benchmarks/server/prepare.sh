# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Sourced by benchmarks/run and benchmarks/server/run: builds the server and the tools around it, and finds Ruby.

server_benchmarks=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$server_benchmarks/../../cmake/bootstrap.sh"

need_compiler
need_ruby
need libasio-dev asio.hpp
need wrk wrk
need nghttp2-client h2load
need curl curl
need_llhttp
install_wanted
find_ruby
need_gems 'rack:~> 3.0'

native=$(build_dir bench-native)
export RUBY=$kino_ruby
export KINO_BENCH_NATIVE=$native/benchmarks/bin
export KINO_BENCH_PEERS=$kino_root/build/peers-$kino_ruby_key
KINO_BENCH_RUBYLIB=$(build_dir server "$kino_ruby_key")/samples/server/lib:$kino_root/samples/server/lib
export KINO_BENCH_RUBYLIB

# --help needs no build.
[[ " $* " = *' -h '* || " $* " = *' --help '* ]] && return

"$kino_root/samples/server/run" --version >/dev/null || exit
(
  one_at_a_time "$native"
  configure release "$native" -DKINO_WITH_RUBY=OFF -DKINO_BUILD_TESTS=OFF -DKINO_BUILD_SAMPLES=OFF
  for target in load websocket_load bare_server; do
    logged cmake --build "$native" -j "$kino_jobs" --target "$target" || die "$target did not build"
  done
) || exit
