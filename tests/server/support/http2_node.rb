# frozen_string_literal: true

require "json"
require "open3"

require_relative "server_test"

# For tests with Node's client of HTTP/2, which has one connection to the server. They are skipped without Node.
module HTTP2Node
  # What Node prints, and what to tell it.
  class Talk
    attr_reader :input

    def initialize(input, output)
      @input = input
      @output = output
      @lines = []
    end

    # The first lines for which the block holds; others are kept.
    def take(count, &wanted)
      @lines << JSON.parse(@output.gets || raise("Node has ended")) while @lines.count(&wanted) < count
      found, @lines = @lines.partition(&wanted)
      found
    end
  end

  # Runs a script that has the +connection+, the +words+, an Array of +streams+ and say(object), which prints a line of JSON. It
  # defines told(line), which is called with each line of Node's input.
  def with_node(server, script, *words)
    url = "#{server.url[/\Ahttps?/]}://127.0.0.1:#{server.port}"
    Open3.popen2("node", "-e", FRAME % { script: script }, url, *words) do |input, output, _|
      yield Talk.new(input, output)
      input.close
    end
  rescue Errno::ENOENT
    skip "Node is not installed"
  end

  FRAME = <<~JS
    const [url, ...words] = process.argv.slice(1);
    const say = (what) => console.log(JSON.stringify(what));
    process.stdout.on('error', () => process.exit());
    const connection = require('http2').connect(url, { rejectUnauthorized: false });
    connection.on('error', (error) => say({ error: String(error) }));
    const streams = [];
    %<script>s
    require('readline').createInterface({ input: process.stdin }).on('line', told).on('close', () => process.exit());
    setTimeout(() => process.exit(1), #{ServerTest::LIMIT * 1000}).unref();
  JS
  private_constant :FRAME
end
