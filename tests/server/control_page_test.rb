# frozen_string_literal: true

require "open3"

require_relative "support/browser"
require_relative "support/server_test"

# The page of the control plane in a browser.
class ControlPageTest < ServerTest
  include Browser

  # Of the browser's own clock, which stands still while it waits for a server.
  MILLISECONDS = 8000

  def setup
    super
    need_browser
  end

  # The document after a while, as HTML.
  def document(url)
    environment, *command = browser("--virtual-time-budget=#{MILLISECONDS}", "--dump-dom", url)
    output, errors, status = Open3.capture3(environment, "timeout", "60", *command)
    assert_predicate status, :success?, errors
    output.force_encoding(Encoding::UTF_8)
  end

  class Anything < Apps::Basic
    def call(env)
      env["PATH_INFO"].start_with?("/hold") ? hold(env) : super
    end
  end

  # The path is what a client chooses.
  test "it draws numbers and workers, and what clients send is text", modes: [:ractor] do |mode|
    server = serve(Anything.new, mode, lint: false, control_bind: "127.0.0.1:0")
    held = gate
    Client.open(server.port) do |client|
      client.get("/")
      client.send_request("GET", "/hold/<img/src=x/onerror=alert(1)>?#{held.query}")
      held.await
      shown = document(server.control_urls.first)
      assert_match(%r{<span id="state" class="good">ready</span>}, shown)
      assert_includes shown, "mode ractor, 2 × 1 workers, 1 served"
      assert_match(/<td>GET \/hold\/&lt;img\/src=x\/onerror=alert\(1\)&gt;<\/td>/, shown)
      refute_match(/<img/, shown)
      assert_match(/points="119,19.00"|points="11\d,[\d.]+ /, shown)
      assert_match(%r{in flight</div><div class="value">1</div>}, shown)
      held.open
      client.read_response
    end
  end

  test "with a token, it asks for it and shows nothing", modes: [:threaded] do |mode|
    server = serve(Apps::Basic.new, mode, control_bind: "127.0.0.1:0", control_token: "tests-only-0123456789")
    shown = document(server.control_urls.first)
    assert_match(/<form id="login">/, shown)
    assert_match(/<tbody id="workers"><\/tbody>/, shown)
  end
end
