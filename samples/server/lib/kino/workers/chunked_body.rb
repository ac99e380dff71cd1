# frozen_string_literal: true

module Kino
  # The content of a response body that the app has chunk-coded itself, with the header transfer-encoding: chunked: Rails
  # does with render stream: true. The server frames every response itself, so it sends the content.
  #
  # A body that does not begin with the size of a chunk is the content: proxies pass that header on with decoded bodies.
  class ChunkedBody
    SIZE = /\A\h{1,15}(?:[ \t]*;[^\r\n]{0,200})?\r\n/n
    # What may still become one.
    BEGINNING = /\A(?:\h{0,15}|\h{1,15}[ \t]*;[^\r\n]{0,200})\r?\z/n

    # +body+, or its content if +headers+ say that it is coded. An Array stays one.
    def self.decoded(headers, body)
      return body unless headers.is_a?(Hash) && body.respond_to?(:each)

      coding = headers["transfer-encoding"] || headers["Transfer-Encoding"]
      return body unless coding.is_a?(String) && coding.strip.casecmp?("chunked")

      content = new(body)
      body.instance_of?(Array) ? content.enum_for(:each).to_a : content
    end

    def initialize(body)
      @body = body
      @rest = "".b
      @left = nil # of the chunk at hand; nil: the next size is due
      @state = :unknown
    end

    def each(&block)
      @body.each do |part|
        raise TypeError, "the app's response body yielded #{part.class}, not String" unless part.is_a?(String)

        @rest << part.b
        find_out if @state == :unknown
        case @state
        when :coded then decode(&block)
        when :plain then yield take(@rest.bytesize)
        end
      end
      case @state
      when :unknown then yield @rest unless @rest.empty?
      when :coded then raise ArgumentError, "the app's response body is chunk-coded and lacks its last chunk"
      end
    end

    def close
      @body.close if @body.respond_to?(:close)
    end

    private

    def find_out
      @state = :coded if @rest.match?(SIZE)
      @state = :plain unless @state == :coded || @rest.match?(BEGINNING)
    end

    def decode
      until @state == :ended
        if @left.nil?
          return unless next_size
        elsif @left.positive?
          return if @rest.empty?

          data = take(@left)
          @left -= data.bytesize
          yield data
        else
          return if @rest.bytesize < 2
          raise ArgumentError, "the app's response body has a chunk longer than its size" unless take(2) == "\r\n"

          @left = nil
        end
      end
    end

    # Whether there is one. Trailers behind the last chunk are ignored.
    def next_size
      line_end = @rest.index("\r\n") or return false
      line = take(line_end + 2)
      raise ArgumentError, "the app's response body has an invalid chunk size" unless line.match?(SIZE)

      @left = line.to_i(16)
      @state = :ended if @left.zero?
      true
    end

    def take(length)
      @rest.slice!(0, length)
    end
  end
end
