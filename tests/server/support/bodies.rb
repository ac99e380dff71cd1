# frozen_string_literal: true

require_relative "apps"
require_relative "gate"

# Response bodies other than Arrays.
module Bodies
  # An enumerable body that reports when it is closed.
  class Pieces
    def initialize(pieces, query)
      @pieces = pieces
      @query = query
    end

    def each
      @pieces.each { |piece| yield piece == :raise ? raise("the body broke") : piece }
    end

    def close
      Gate.arrive(@query) if @query.include?("arrive=")
    end
  end

  # A body with to_ary, which closes it, like the wrappers of middleware.
  class Proxy < Pieces
    def to_ary
      @pieces
    ensure
      close
    end
  end

  # A body whose to_ary returns nil.
  class NoArray < Pieces
    def to_ary; end
  end

  # A callable body that Ractors can share.
  class Callable
    def call(stream)
      stream.write("body")
      stream.close
    end
  end

  # Paths shared by the tests of complete bodies and of streams.
  class Routes < Apps::Router
    def index(_env)
      Apps.text("hello")
    end

    def enumerable(env)
      [200, Apps::TEXT.dup, Pieces.new(%w[one two three], env["QUERY_STRING"])]
    end

    def sized(env)
      [200, Apps::TEXT.merge("content-length" => "11"), Pieces.new(%w[one two three], env["QUERY_STRING"])]
    end

    def call_body(_env)
      [200, Apps::TEXT.dup, proc { |stream| stream << "one" << "two"; stream.write("three"); stream.close }]
    end
  end
end
