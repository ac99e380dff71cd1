# frozen_string_literal: true

# The app of tests/server/cost_test.rb. It allocates no objects, so all that are counted are the server's.
class CostApp
  HEADERS = { "content-type" => "text/plain" }.freeze
  PLAIN = [200, HEADERS, ["hello"].freeze].freeze

  class Pieces
    def each
      100.times { yield "piece" }
    end
  end
  STREAM = [200, HEADERS, Pieces.new.freeze].freeze

  def call(env)
    case env["PATH_INFO"]
    when "/upload"
      env["rack.input"].read
      PLAIN
    when "/stream" then STREAM
    when "/objects" then [200, HEADERS, [GC.stat(:total_allocated_objects).to_s]]
    else PLAIN
    end
  end
end

run CostApp.new.freeze
