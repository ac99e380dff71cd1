# frozen_string_literal: true

# Responds with the request as the app received it, in the framing that the query selects. fuzz_test.rb compares it with
# its oracle.
class FuzzApp
  HEADERS = { "content-type" => "application/octet-stream" }.freeze

  # The text in pieces, without a length.
  class Pieces
    def initialize(text)
      @text = text
    end

    def each
      at = 0
      while at < @text.bytesize
        yield @text.byteslice(at, 700)
        at += 700
      end
    end
  end

  # The text, written by a callable body.
  class Written < Pieces
    undef_method :each

    def call(stream)
      half = @text.bytesize / 2
      stream.write(@text.byteslice(0, half))
      stream.flush
      stream.write(@text.byteslice(half..))
      stream.close
    end
  end

  def call(env)
    fields = env.select { |name, _| name.start_with?("HTTP_") || name.start_with?("CONTENT_") }
    seen = [env["REQUEST_METHOD"], env["PATH_INFO"], env["QUERY_STRING"], fields, env["rack.input"].read]
    text = Marshal.dump(seen)
    body = case env["QUERY_STRING"][/\A[a-z]+/]
           when "pieces" then Pieces.new(text)
           when "written" then Written.new(text)
           else [text]
           end
    [200, HEADERS, body]
  end
end

run FuzzApp.new.freeze
