# frozen_string_literal: true

# Responds with the length of the request body, with streams of several lengths, with an endless one, or with one String.
class SlowClientsApp
  HEADERS = Ractor.make_shareable({ "content-type" => "text/plain" })
  PIECE = ("x" * 65_536).freeze
  WHOLE = (PIECE * 160).freeze

  class Endless
    def each
      loop { yield PIECE }
    end
  end

  class Long
    def initialize(pieces) = @pieces = pieces

    def each
      @pieces.times { yield PIECE }
    end
  end

  def call(env)
    case env["PATH_INFO"]
    when "/length" then [200, HEADERS, [env["rack.input"].read.bytesize.to_s]]
    when "/long" then [200, HEADERS, Long.new(160)]
    when "/streamed" then [200, HEADERS, Long.new(20)]
    when "/whole" then [200, HEADERS, [WHOLE]]
    when "/endless" then [200, HEADERS, Endless.new]
    else [200, HEADERS, ["hello"]]
    end
  end
end

run SlowClientsApp.new.freeze
