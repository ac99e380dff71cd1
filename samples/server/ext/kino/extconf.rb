# frozen_string_literal: true

# Compiles the server's extension when the gem is installed, from nothing but what is in the gem.

require_relative "../../lib/kino/mkmf"

vendor = File.expand_path("../../vendor", __dir__)
unless File.directory?(vendor)
  abort "kino: #{vendor} is missing. In a checkout CMake builds the extension, and the gem that has this " \
        "directory: cmake --build DIRECTORY --target gem"
end

have_kino
have_library("dl", "dlopen", "dlfcn.h")
$defs.push(*%w[ASIO_STANDALONE ASIO_NO_DEPRECATED ASIO_DISABLE_VISIBILITY ASIO_ENABLE_VERSION_NAMESPACE
               LLHTTP_STRICT_MODE=1 NDEBUG].map { |name| "-D#{name}" })
$CXXFLAGS += " -g0" # half of the time and nine tenths of the size are debug information
$CPPFLAGS += %w[asio llhttp].map { |name| " -isystem #{File.join(vendor, name).quote}" }.join
$CPPFLAGS += " -I#{__dir__.quote}"
$srcs = Dir[File.join(__dir__, "*/*.cpp"), File.join(vendor, "llhttp/*.c")].sort
if have_library("nghttp2", "nghttp2_session_server_new2", "nghttp2/nghttp2.h")
  $defs.push("-DKINO_NGHTTP2")
  # Since 1.57, and in older versions that were mended by their distributor.
  $defs.push("-DKINO_NGHTTP2_RESET_LIMIT") if have_func("nghttp2_option_set_stream_reset_rate_limit", "nghttp2/nghttp2.h")
else # then without HTTP/2
  $srcs.reject! { |path| File.basename(File.dirname(path)) == "http2" }
end
$defs.push("-DKINO_WSLAY") if have_library("wslay", "wslay_event_context_server_init", "wslay/wslay.h") # else without native WebSockets
$defs.push("-DKINO_ZLIB") if have_library("z", "inflate", "zlib.h") # else without their compression
$VPATH.concat($srcs.map { |path| File.dirname(path) }.uniq)
create_makefile("kino_native")
