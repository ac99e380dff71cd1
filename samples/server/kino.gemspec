# frozen_string_literal: true

# Packed by the build (target `gem`), which copies the headers and the sources that the extension needs beside this
# file. If there is a compiled lib/kino_native, it describes the gem for this Ruby's ABI and platform.

require_relative "lib/kino/version"

Gem::Specification.new do |spec|
  spec.name = "kino"
  spec.version = Kino::VERSION
  spec.summary = "Native threads hand work to Ractors: a Rack server, and the C++ headers it is built on"
  spec.description = <<~TEXT
    The server's native threads read and write HTTP; handlers run in parallel Ractors, or in Threads if the app
    cannot be shared. The gem also contains a C++20 library for other gems: require "kino/mkmf" in extconf.rb.
  TEXT
  spec.authors = ["The kino authors"]
  spec.licenses = %w[MIT BSD-2-Clause BSL-1.0]

  spec.files = Dir.glob("{deploy,docs,examples,exe,ext,include,lib,licenses,monitoring,share,sig,vendor}/**/*", base: __dir__)
                  .select { |path| File.file?(File.join(__dir__, path)) } + %w[CHANGELOG.md LICENSE README.md kino.gemspec]
  spec.bindir = "exe"
  spec.executables = ["kino"]

  if Dir[File.join(__dir__, "lib/kino_native.*")].any?
    local = Gem::Platform.local
    spec.platform = [local.cpu, local.os, *("musl" if local.version.to_s.start_with?("musl"))].join("-")
    spec.required_ruby_version = "~> #{RbConfig::CONFIG["ruby_version"][/\A[\d.]+/]}"
  else
    spec.extensions = ["ext/kino/extconf.rb", "ext/kino/tls/engine/extconf.rb"]
    # 3.1 is the first Ruby it is tested on.
    spec.required_ruby_version = ">= 3.1"
  end

  spec.add_dependency "logger", "~> 1.4" # no default gem any more since Ruby 4.0
  spec.add_dependency "rack", ">= 3.0", "< 4"
  spec.metadata["rubygems_mfa_required"] = "true"
end
