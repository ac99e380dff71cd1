# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# The folders of the server's extension are layers: each includes only those before it.

require "minitest/autorun"

class LayersTest < Minitest::Test
  ROOT = File.expand_path("../../samples/server/ext/kino", __dir__)
  LAYERS = %w[tls base http observers http1 http2 websocket net admission control rack app].freeze
  # What a layer may know beyond C++, the C library and those parts of kino that need no Ruby.
  SOCKETS = %r{\A(asio|netinet)/|\Asys/un\.h|\Apoll\.h}
  SOCKET_CALLS = /(?<!\w)::(recv|send|sendmsg|shutdown|accept4?|setsockopt|getsockopt|ioctl)\(/
  # The library's headers that need Ruby: CMakeLists.txt has them apart from those of kino_core.
  WITH_RUBY = File.read(File.expand_path("../../CMakeLists.txt", __dir__))[/^add_library\(kino INTERFACE\).*/m].scan(%r{^ +include/(kino/\S+?\.hpp)}).flatten
  RUBY = /\Aruby|\A#{Regexp.union(WITH_RUBY)}\z/

  def sources = Dir.glob("#{ROOT}/**/*.{hpp,cpp}").sort

  def layer_of(path) = path.delete_prefix("#{ROOT}/").split("/").first

  def each_include
    sources.each do |path|
      File.read(path).scan(/^#\s*include\s*([<"])([^>"]+)[>"]/) { |kind, name| yield path, kind == '"', name }
    end
  end

  def test_every_file_is_in_a_layer
    refute_empty sources
    assert_equal LAYERS.sort, sources.map { |path| layer_of(path) }.uniq.sort
  end

  def test_no_layer_includes_one_above_it
    upward = []
    each_include do |path, own, name|
      next unless own

      target = name.split("/").first
      assert_includes LAYERS, target, "#{path} includes #{name} without its folder"
      upward << "#{path} includes #{name}" if LAYERS.index(target) > LAYERS.index(layer_of(path))
    end
    assert_empty upward
  end

  # Rack describes a response; what protocol encodes it is decided in net. A WebSocket is also what an application writes to.
  def test_rack_and_app_know_no_protocol
    known = []
    each_include do |path, own, name|
      known << "#{path} includes #{name}" if own && %w[rack app].include?(layer_of(path)) && name.start_with?("http1/")
      known << "#{path} includes #{name}" if own && layer_of(path) == "rack" && !name.match?(%r{\A(base|http|websocket|rack)/})
    end
    assert_empty known
  end

  def test_only_http1_writes_http1
    writers = sources.reject { |path| layer_of(path) == "http1" }.select { |path| File.read(path).match?(%r{"HTTP/1\.1 |\\r\\n}) }
    assert_empty writers, "these write a status line, a field or a chunk themselves"
  end

  def below?(path, layer) = LAYERS.index(layer_of(path)) < LAYERS.index(layer)

  # The includes of headers of the system, Asio, Ruby or the library that match, in files below `layer`.
  def includes_below(layer, headers)
    early = []
    each_include { |path, own, name| early << "#{path} includes <#{name}>" if !own && name.match?(headers) && below?(path, layer) }
    early
  end

  def test_sockets_begin_with_net
    assert_empty includes_below("net", SOCKETS)
    callers = sources.select { |path| below?(path, "net") && File.read(path).match?(SOCKET_CALLS) }
    assert_empty callers, "these call the socket themselves"
  end

  def test_ruby_begins_with_rack
    assert_includes WITH_RUBY, "kino/convert.hpp"
    assert_empty includes_below("rack", RUBY)
  end
end
