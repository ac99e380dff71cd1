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

  # As root, for another user, as a server for a proxy's user would.
  def test_a_unix_socket_has_the_owner_and_group_given_in_its_address
    require "etc"
    owner = Process.uid.zero? ? Etc.getpwnam("nobody") : Etc.getpwuid
    group = Etc.getgrgid(owner.gid)
    path = File.join(directory, "socket")
    { "user=#{owner.name}&group=#{group.name}&mode=0620" => [owner.uid, group.gid, 0o620],
      "group=#{group.gid}&mode=600" => [Process.uid, group.gid, 0o600] }.each do |description, expected|
      server = start("unix://#{path}?#{description}")
      stat = File.stat(path)
      assert_equal expected, [stat.uid, stat.gid, stat.mode & 0o777]
      server.shutdown
    end
    error = assert_raises(Kino::ConfigError) { start("unix://#{path}?user=no-such-user-here") }
    assert_match(/this system has no user no-such-user-here/, error.message)
    refute_path_exists path
  end

  def test_what_describes_no_file_is_refused
    ["", "mode=", "mode=8888", "user=", "user=a b", "owner=a", "mode=600&mode=600", "mode=600&", "group=../x", "user=-n"].each do |description|
      error = assert_raises(Kino::ConfigError, description) { start("unix:///tmp/kino-test?#{description}") }
      assert_match(/mode=0660&user=NAME&group=NAME/, error.message)
    end
  end

  PIECES = %w[http:// https:// tcp:// ssl:// unix:// unix:///tmp/x unix://@n 127.0.0.1 [::1] ::1 localhost :80 : 80 ? & = / @ * % . ?proxy_protocol=true
              proxy_protocol=true proxy_protocol=false mode=0660 user=a group=b].push("é", "\0", "\n", " ").freeze

  # What is behind a question mark describes the address, and is no part of a host or path.
  def test_any_text_is_an_address_or_a_mistake
    random = Random.new(seed = Integer(ENV.fetch("SEED", Random.new_seed)))
    outcomes = Hash.new(0)
    5000.times do
      text = Array.new(random.rand(1..5)) { PIECES.sample(random: random) }.join
      address = Kino::Address.parse(text, 80)
      outcomes[:address] += 1
      place, description = text.split("?", 2)
      assert_equal description.to_s.include?("proxy_protocol=true"), address.proxy_protocol, "SEED=#{seed}: #{text.inspect}"
      assert_includes place, address.host || address.path, "SEED=#{seed}: #{text.inspect}"
      refute_match(/[&=]/, address.host, "SEED=#{seed}: #{text.inspect}") if address.host
    rescue Kino::ConfigError
      outcomes[:mistake] += 1
    end
    assert_equal 2, outcomes.size
  end

  covers :reuse_port
  def test_with_reuse_port_several_servers_listen_on_one_address
    first = serve(Apps::Basic.new, :threaded, workers: 1, reuse_port: true)
    second = serve(Apps::Basic.new, :threaded, workers: 1, reuse_port: true, port: first.port)
    assert_equal first.port, second.port
    eventually("both are reached") do
      Client.open(first.port) { |client| assert_equal "hello", client.get("/").body }
      [first, second].all? { |server| server.stats[:served].positive? }
    end
    first.shutdown
    10.times { Client.open(second.port) { |client| assert_equal "hello", client.get("/").body } }
    assert_raises(Kino::BindError) { serve(Apps::Basic.new, :threaded, workers: 1, port: second.port) }
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
