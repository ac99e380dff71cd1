# frozen_string_literal: true

require_relative "support/server_test"

# Addresses to listen on other than one host and port.
class AddressTest < ServerTest
  def start(*binds)
    serve(Apps::Basic.new, :threaded, workers: 1, bind: binds)
  end

  def loopbacks
    Socket.ip_address_list.map(&:ip_address) & %w[127.0.0.1 ::1]
  end

  def test_localhost_is_every_loopback_address_with_the_same_port
    server = start("localhost")
    assert_equal loopbacks.sort, server.addresses.map(&:host).sort
    assert_equal [server.port], server.addresses.map(&:port).uniq
    loopbacks.each { |host| Client.open(server.port, host) { |client| assert_equal "hello", client.get("/").body } }
  end

  def test_a_unix_socket_has_the_mode_given_in_its_address
    Dir.mktmpdir("kino") do |directory|
      path = File.join(directory, "socket")
      server = start("unix://#{path}?mode=0660")
      assert_equal "660", format("%o", File.stat(path).mode & 0o777)
      Client.open(path) { |client| assert_equal "hello", client.get("/").body }
      server.shutdown
      refute File.exist?(path)
    end
  end

  def test_an_abstract_unix_socket_has_no_file_and_one_owner
    skip "only Linux has abstract sockets" unless RUBY_PLATFORM.include?("linux")

    name = "kino-test-#{Process.pid}-#{rand(1 << 30)}"
    server = start("unix://@#{name}")
    assert_equal "unix://@#{name}", server.url
    Client.open("\0#{name}") { |client| assert_equal "hello", client.get("/").body }
    refute File.exist?("@#{name}")
    error = assert_raises(Kino::BindError) { start("unix://@#{name}") }
    assert_match(/unix:\/\/@#{name}: pid #{Process.pid}/, error.message)
    server.shutdown
    assert_raises(Errno::ECONNREFUSED) { Client.open("\0#{name}") }
  end
end
