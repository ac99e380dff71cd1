# frozen_string_literal: true

require_relative "gate"

# Response bodies that are no Arrays.
module Bodies
  # An enumerable body that tells when it is closed.
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

  # A body with to_ary, as middleware wraps them: to_ary closes.
  class Proxy < Pieces
    def to_ary
      @pieces
    ensure
      close
    end
  end
end
