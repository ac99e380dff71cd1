# frozen_string_literal: true

require "json"
require "open3"

require_relative "support/server_test"

# The end of a process that speaks HTTP/2 under load: no request that it has accepted is lost, and client and app agree on
# which these are.
class HTTP2ShutdownTest < ServerTest
  # Each response is the next request's cause, on 4 connections with 20 requests each, until all connections have ended.
  CLIENT = <<~JS
    const count = { complete: 0, refused: 0, unsent: 0, lost: [], open: 0 };
    function ask(session) {
      if (session.closed || session.destroyed) return;
      const request = session.request({ ':path': '/' });
      let status = 0, body = '';
      count.open++;
      request.on('response', (headers) => status = headers[':status']);
      request.on('data', (data) => body += data);
      request.on('error', () => {});
      request.on('close', () => {
        count.open--;
        if (status === 200 && body === 'hello') {
          if (++count.complete === 500) console.log('busy');
        } else if (request.id === undefined) count.unsent++;
        else if (request.rstCode === 7) count.refused++;
        else count.lost.push({ id: request.id, status, code: request.rstCode, body });
        ask(session);
      });
      request.end();
    }
    for (let i = 0; i < 4; i++) {
      const session = require('http2').connect(process.argv[1]);
      session.on('error', (error) => count.lost.push(String(error)));
      for (let j = 0; j < 20; j++) ask(session);
    }
    process.on('exit', () => console.log(JSON.stringify(count)));
  JS

  test "TERM under load loses no request that the app has seen" do |mode|
    counter = File.join(directory, "calls")
    rackup = File.join(directory, "config.ru")
    File.write(rackup, <<~RUBY)
      class Counted
        def call(_env)
          File.write(#{counter.dump}, "x", mode: "a")
          [200, { "content-type" => "text/plain" }, ["hello"]]
        end
      end
      run Counted.new.freeze
    RUBY
    @child = Child.kino("-m", mode.to_s, "-w", "4", "-t", "1", rackup)
    Open3.popen2("node", "-e", CLIENT, "http://127.0.0.1:#{@child.port}") do |input, output, client|
      input.close
      assert_equal "busy\n", output.gets
      @child.signal("TERM")
      count = JSON.parse(output.read, symbolize_names: true)
      assert_predicate client.value, :success?
      assert_equal 0, @child.status, @child.log
      assert_empty count[:lost]
      assert_equal 0, count[:open]
      assert_equal File.size(counter), count[:complete], "the app has seen other requests than the client has responses of"
    end
  rescue Errno::ENOENT
    skip "there is no Node"
  end
end
