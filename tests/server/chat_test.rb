# frozen_string_literal: true

require "json"
require "rack"

require_relative "support/browser"
require_relative "support/server_test"
require_relative "support/websocket_client"

# examples/chat in Ractors, with the Ruby client, and with its page in a browser.
class ChatTest < ServerTest
  include Browser

  EXAMPLE = File.join(Child::ROOT, "examples/chat/config.ru")

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
    need_browser
    bob = join("bob", "lobby")
    read(bob)
    browse("http://127.0.0.1:#{@child.port}/?name=ann")
    assert IO.select([bob.http.socket], nil, nil, 60), "the browser has not come"
    assert_equal({ "joined" => "ann" }, read(bob))
  ensure
    bob&.close
  end
end
