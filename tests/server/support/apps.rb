# frozen_string_literal: true

require_relative "gate"
require_relative "shareable_rack"

# Apps for the tests. Each is a frozen object that every Ractor can share, checked by Rack::Lint unless a test is about
# what Lint forbids.
module Apps
  TEXT = Ractor.make_shareable({ "content-type" => "text/plain" })

  def self.linted(app)
    Ractor.make_shareable(Rack::Lint.new(app))
  end

  def self.text(body, status = 200, headers = {})
    [status, TEXT.merge(headers), [body]]
  end

  # Routes by path to public methods, "/big-stream" to #big_stream.
  class Router
    def call(env)
      action = env["PATH_INFO"].delete_prefix("/").tr("-", "_")
      action = "index" if action.empty?
      known = action != "call" && self.class.public_method_defined?(action) && !Object.method_defined?(action)
      known ? public_send(action, env) : Apps.text("no such page\n", 404)
    end
  end

  # The app of most tests.
  class Basic < Router
    def index(_env)
      Apps.text("hello")
    end

    # The env as lines, Strings only.
    def env(env)
      lines = env.select { |_, value| value.is_a?(String) }.map { |name, value| "#{name}=#{value}" }
      Apps.text(lines.sort.join("\n"))
    end

    def hold(env)
      Gate.enter(env["QUERY_STRING"])
      Apps.text("held")
    end

    def echo(env)
      Apps.text(env["rack.input"].read || "")
    end

    # Length and checksum of the body, which is read in small pieces.
    def digest(env)
      size = 0
      sum = 0
      while (piece = env["rack.input"].read(8192))
        size += piece.bytesize
        sum = (sum + piece.sum(32)) & 0xffffffff
      end
      Apps.text("#{size} #{sum}")
    end

    # Responds without reading the body.
    def ignore(_env)
      Apps.text("ignored")
    end

    def sink(env)
      Gate.arrive(env["QUERY_STRING"])
      Gate.enter(env["QUERY_STRING"])
      Apps.text(env["rack.input"].read.bytesize.to_s)
    end
  end
end
