# frozen_string_literal: true

# Compiles kino_tls, the part of the server that knows BoringSSL, when the gem is installed; without BoringSSL, the
# server is installed without TLS. --with-boringssl-dir=DIR names a build with `include`, and `lib` or `build`.

require_relative "../../../../lib/kino/mkmf"

directory = with_config("boringssl-dir")
headers = directory ? File.join(directory, "include") : "/usr/include/android"
places = if directory
           %w[lib lib64 build build/ssl build/crypto].map { |name| File.join(directory, name) }
         else
           Dir["/usr/lib/*/android"] + ["/usr/lib/android"]
         end
libraries = %w[ssl crypto].map do |name|
  places.product(["a", "so"]).map { |place, kind| File.join(place, "lib#{name}.#{kind}") }.find { |path| File.file?(path) }
end

unless File.file?(File.join(headers, "openssl/base.h")) && libraries.all?
  abort "kino: there is no BoringSSL in #{directory}" if directory
  puts "kino: BoringSSL was not found (Debian: android-libboringssl-dev), so the server is installed without TLS"
  File.write("Makefile", dummy_makefile(".").join)
  exit
end

have_kino
File.write("kino.exports", File.read(File.join(__dir__, "kino_tls.exports")))
$CXXFLAGS += " -isystem #{headers.quote} -g0"
$CPPFLAGS += " -I#{File.expand_path("../..", __dir__).quote}"
$LIBRUBYARG = $LIBRUBYARG_SHARED = $LIBRUBYARG_STATIC = "" # It is no extension, and knows no Ruby.
$libs = "#{libraries.map(&:quote).join(" ")} #{$libs}"
$DLDFLAGS += " -Wl,-rpath,#{File.dirname(libraries.first).quote}"
create_makefile("kino_tls")
