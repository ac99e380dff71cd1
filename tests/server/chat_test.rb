# frozen_string_literal: true

require "json"
require "open3"
require "rack"

require_relative "support/server_test"
require_relative "support/websocket_client"

# examples/chat in Ractors, with the Ruby client, and with its page in a browser (Debian: chromium).
class ChatTest < ServerTest
  EXAMPLE = File.join(Child::ROOT, "examples/chat/config.ru")
  BROWSER = %w[chromium chromium-browser google-chrome].find do |command|
    Open3.capture2e(command, "--version").last.success?
  rescue Errno::ENOENT
    false
  end

  def setup
    super
    @child = Child.kino("-m", "ractor", "-w", "4", EXAMPLE)
  end

  def join(name, room = "ruby", **options)
    WebSocketClient.new(@child.port, "/rooms/#{room}?name=#{name}", **options)
  end

  def read(client)
    JSON.parse(client.read)
  end

  def test_everyone_in_a_room_hears_what_is_said_there
    ann = join("Ann%20B")
    assert_equal({ "joined" => "Ann B" }, read(ann))
    bob = join("bob")
    [ann, bob].each { |client| assert_equal({ "joined" => "bob" }, read(client)) }
    other = join("eve", "elsewhere")
    assert_equal({ "joined" => "eve" }, read(other))
    10.times do |n|
      ann.send_text("grüße #{n}")
      [ann, bob].each { |client| assert_equal({ "name" => "Ann B", "text" => "grüße #{n}" }, read(client)) }
    end
    ann.send_close
    assert_equal 1000, ann.read_close
    assert_equal({ "left" => "Ann B" }, read(bob))
    other.send_text("alone")
    assert_equal({ "name" => "eve", "text" => "alone" }, read(other))
    Process.kill(:TERM, @child.pid)
    assert_equal({ "text" => "The server is restarting." }, read(bob))
    assert_equal 1001, bob.read_close
  ensure
    [ann, bob, other].compact.each(&:close)
  end

  def test_pages_of_other_sites_are_refused
    assert_equal 403, join("x", headers: { "Origin" => "https://evil.example" }).response.status
    assert_equal 101, join("x", headers: { "Origin" => "http://test.example" }).response.status
  end

  def test_the_page_works_in_a_browser
    skip "no chromium is installed" unless BROWSER
    bob = join("bob", "lobby")
    read(bob)
    page = Process.spawn(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                         "--user-data-dir=#{directory}", "--remote-debugging-port=0", "http://127.0.0.1:#{@child.port}/?name=ann",
                         out: File::NULL, err: File::NULL, pgroup: true)
    assert IO.select([bob.http.socket], nil, nil, 60), "the browser has not come"
    assert_equal({ "joined" => "ann" }, read(bob))
  ensure
    bob&.close
    if page
      Process.kill(:KILL, -page)
      Process.wait(page)
    end
  end
end
