# frozen_string_literal: true

require_relative "support/load"
require_relative "support/tls"

# Certificates: what is wrong with them, at start and later, and how they are renewed.
class TLSCertificatesTest < TLSServerTest
  KINO = File.join(Child::ROOT, "exe/kino")
  APP = File.expand_path("support/echo.ru", __dir__)

  # Each broken configuration with what the one line says.
  def mistakes
    good = @identity.write(directory)
    other = Identity.new("other.example").write(directory, "other")
    old = Identity.new("old.example", from: Time.now - 7200, to: Time.now - 60).write(directory, "old")
    nonsense = File.join(directory, "nonsense.pem").tap { |path| File.write(path, "nonsense") }
    {
      { cert: good[:cert], key: other[:key] } => /the key \S+other\.key does not belong to the certificate \S+server\.pem/,
      old => /the certificate \S+old\.pem expired on /,
      good.merge(cert: directory) => /cannot read #{directory}: it is a directory/,
      good.merge(key: "/nowhere/x.key") => %r{there is no file /nowhere/x\.key},
      good.merge(cert: nonsense) => /nonsense\.pem has no certificate in PEM form/,
      good.merge(key: nonsense) => /nonsense\.pem has no private key in PEM form/,
      good.merge(verify: :peer) => /verify: peer needs ca:/,
      good.merge(ca: good[:cert]) => /ca is given without verify/,
      good.merge(ca: nonsense, verify: "force_peer") => /nonsense\.pem has no certificate/
    }
  end

  def test_a_mistake_is_one_clear_line_at_start
    mistakes.each do |tls, sentence|
      error = assert_raises(Kino::ConfigError) { Kino::Server.new(Apps::Basic.new, mode: :threaded, workers: 1, tls: tls).start }
      assert_match sentence, error.message
      assert_equal 1, error.message.lines.size
      assert error.message.start_with?("keyword: tls: "), error.message
    end
  end

  def test_a_mistake_in_the_option_names_its_source
    { "cert" => /is not name=value/, "sert=a" => /does not know sert/, "key=a" => /key is given without cert/,
      "cert=a,verify=maybe" => /verify is one of none, peer, force_peer/, "verify=peer" => /no certificate/ }.each do |text, reason|
      error = assert_raises(Kino::ConfigError) { Kino::Settings.new({ tls: text }, env: {}) }
      assert_match(/\Akeyword: tls "#{text}": /, error.message)
      assert_match reason, error.message
    end
    error = assert_raises(Kino::ConfigError) { Kino::Settings.new({ tls: { cert: @identity.pem, key: @identity.key.to_pem, x: "" } }, env: {}) }
    refute_includes error.message, "BEGIN", "a key must not be printed"
  end

  def test_addresses_and_certificates_need_each_other
    error = assert_raises(Kino::ConfigError) { serve(Apps::Basic.new, :threaded, bind: "https://127.0.0.1") }
    assert_match(%r{cannot listen on https://127\.0\.0\.1:0 without a certificate; add --tls cert=FILE,key=FILE}, error.message)
    error = assert_raises(Kino::ConfigError) { serve_tls(bind: "http://127.0.0.1") }
    assert_match(/tls is set, but no address speaks TLS/, error.message)
    error = assert_raises(Kino::ConfigError) { serve_tls(bind: "ssl://127.0.0.1:9292?cert=a&key=b") }
    assert_match(/certificates are given with --tls/, error.message)
  end

  def test_the_command_line_the_environment_and_the_file
    files = @identity.write(directory)
    text = "cert=#{files[:cert]},key=#{files[:key]}"
    config = File.join(directory, "kino.rb").tap { |path| File.write(path, "tls cert: #{files[:cert].inspect}, key: #{files[:key].inspect}\n") }
    [[["--tls", text], {}], [[], { "KINO_TLS" => text }], [["-C", config], {}]].each do |arguments, env|
      child = Child.kino("-m", "threaded", "-w", "1", *arguments, APP, env: env)
      assert_includes child.log, "listening https://127.0.0.1:#{child.port}"
      assert_match(/settings .*tls #{Regexp.escape(files[:cert])} \(/, child.log)
      TLSClient.open(child.port, trust: @identity) { |client| assert_equal "abc", client.request("POST", "/", body: "abc").body }
    ensure
      child&.finish
    end
  end

  def test_check_looks_at_the_certificates
    files = @identity.write(directory)
    status, output = Child.output(KINO, "--check", "--tls", "cert=#{files[:cert]},key=#{files[:key]}", APP)
    assert_includes output, "The certificates can be used."
    assert_equal 0, status, output
    status, output = Child.output(KINO, "--check", "--tls", "cert=#{files[:cert]},key=#{files[:cert]}", APP)
    assert_match(/^kino: --tls: \S+server\.pem has no private key/, output)
    assert_equal 2, status
  end

  def test_hup_renews_and_a_mistake_changes_nothing
    files = @identity.write(directory)
    @child = Child.kino("-m", "threaded", "-w", "1", "--tls", "cert=#{files[:cert]},key=#{files[:key]}", APP)
    kept = TLSClient.new(@child.port, trust: @identity)
    assert_equal "a", kept.request("POST", "/", body: "a").body
    renewed = Identity.new("renewed.example")
    renewed.write(directory)
    @child.signal("HUP")
    @child.await_line(/tls: new connections use the certificates .*server\.pem/)
    TLSClient.open(@child.port, trust: renewed) { |client| assert_equal "b", client.request("POST", "/", body: "b").body }
    assert_equal "c", kept.request("POST", "/", body: "c").body, "an open connection keeps its session"
    File.write(files[:key], @identity.key.to_pem)
    @child.signal("HUP")
    @child.await_line(/tls: the key .*server\.key does not belong to the certificate .*; the certificates in use stay/)
    TLSClient.open(@child.port, trust: renewed) { |client| assert_equal "d", client.request("POST", "/", body: "d").body }
    kept.close
  end

  def test_a_changed_file_is_noticed_and_an_unchanged_one_is_not_read_again
    certificates = Kino::Certificates.for(Kino::Settings.new({ tls: [@identity.write(directory)] }))
    server = serve_tls(tls: [@identity.write(directory)])
    id = server.instance_variable_get(:@backend).id
    certificates.load
    assert_empty(logged { certificates.check(id) })
    renewed = Identity.new("renewed.example")
    renewed.write(directory)
    assert_match(/new connections use/, logged { certificates.check(id) })
    TLSClient.open(server.port, trust: renewed) { |client| assert_equal "hello", client.get("/").body }
    File.delete(File.join(directory, "server.key"))
    assert_match(/there is no file .*; the certificates in use stay/, logged { certificates.check(id) })
    assert_empty(logged { certificates.check(id) }, "a mistake is logged once")
    renewed.write(directory)
    assert_match(/new connections use/, logged { certificates.check(id) })
  end

  def test_a_thread_checks_the_files_and_ends_with_the_server
    named = -> { Thread.list.count { |thread| thread.name == "kino certificates" } }
    server = serve_tls
    assert_equal 1, named.call
    server.shutdown
    assert_equal 0, named.call
    serve_tls(tls: { cert: @identity.pem, key: @identity.key.to_pem })
    assert_equal 0, named.call, "inline text does not change"
  end

  def test_renewing_under_load_drops_no_connection
    server = serve_tls(workers: 4)
    stop = false
    clients = Array.new(64) { TLSClient.new(server.port) }
    threads = clients.map do |client|
      Thread.new do
        count = 0
        until stop && count >= 20
          raise "wrong response" unless client.get("/").body == "hello"

          count += 1
        end
        count
      end
    end
    identities = Array.new(10) { |n| Identity.new("number#{n}.example") }
    identities.each do |identity|
      identity.write(directory)
      logged { server.reload_certificates }
      TLSClient.open(server.port, trust: identity) { |client| assert_equal "hello", client.get("/").body }
    end
    stop = true
    assert(threads.map(&:value).all? { |count| count >= 20 })
    assert_equal 74, tls_stats(server)[:handshakes]
    assert_equal 0, tls_stats(server)[:failed].values.sum
    clients.each(&:close)
  end
end
