# frozen_string_literal: true

require_relative "errors"

# Loads the native part of the server, which defines Kino::Native.
begin
  require "kino_native"
rescue LoadError => e
  raise Kino::NativeMissingError,
        "cannot load kino's native extension (#{e.message}). " \
        "Reinstall it for this Ruby (#{RUBY_VERSION}) with `gem pristine kino`, or, " \
        "in a checkout, build it and put the directory of kino_native.so on the load path (ruby -I)."
end
