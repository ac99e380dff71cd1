# frozen_string_literal: true

require "json"
require "open3"

require_relative "support/programs"
require_relative "support/tls"

# testssl.sh (Debian: testssl.sh) finds nothing above LOW in the protocols, ciphers and extensions that the server offers, and
# none of the attacks that it knows. It takes a minute or two, so it runs only if KINO_TESTSSL is set.
class TestsslTest < Minitest::Test
  COMMAND = Programs.find("testssl", "testssl.sh")
  # Protocols, ciphers, forward secrecy, the server's preferences and defaults, vulnerabilities.
  CHECKS = %w[-p -s -f -P -S -U].freeze
  ACCEPTED = %w[OK INFO LOW].freeze
  # Seconds; less than the time limit of this file, so that the output of testssl is seen.
  LIMIT = 840
  # The certificate is the test's own, which no authority has signed, for an hour; an old OpenSSL has no GOST.
  NOT_OURS = /\A(cert_|engine_problem)/

  def test_nothing_above_low
    skip "KINO_TESTSSL is not set" unless ENV["KINO_TESTSSL"]
    skip "testssl.sh is not installed" unless COMMAND
    skip "the server is built without TLS" unless Identity.usable?

    Dir.mktmpdir do |directory|
      files = Identity.new("localhost").write(directory)
      app = File.expand_path("support/echo.ru", __dir__)
      child = Child.kino("-m", "threaded", "-w", "1", "--tls", "cert=#{files[:cert]},key=#{files[:key]}", app)
      result = File.join(directory, "result.json")
      output, status = Open3.capture2e("timeout", LIMIT.to_s, COMMAND, "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none",
                                       "--ip", "127.0.0.1", *CHECKS, "--jsonfile", result, "localhost:#{child.port}")
      refute_equal 124, status.exitstatus, "testssl took too long:\n#{output}"
      found = JSON.parse(File.read(result))
      assert_operator found.size, :>, 60, output
      assert_includes found.map { |one| one.values_at("id", "severity") }, %w[TLS1_3 OK]
      assert_empty(found.reject { |one| ACCEPTED.include?(one["severity"]) || one["id"].match?(NOT_OURS) })
    ensure
      child&.finish
    end
  end
end
