# frozen_string_literal: true

# Reads all bytes that a server has sent on a connection, strictly: every response is well-formed as RFC 9112 defines it,
# its framing is unambiguous, and no byte is left over. Shares no code with Client.
class StrictResponses
  class Malformed < StandardError; end

  HEAD = /\GHTTP\/1\.1 ([1-5]\d\d) ([\t\x20-\x7e]*)\r\n((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n/n
  CHUNK = /\G([1-9a-fA-F][0-9a-fA-F]*)\r\n/n

  # [status, headers, body] of each final response to requests with these +methods+. A response after those is read as
  # one to GET: it may reject bytes that are no request.
  def self.read(bytes, methods)
    new(bytes).read(methods)
  end

  def initialize(bytes)
    @bytes = bytes
    @at = 0
  end

  def read(methods)
    all = []
    while @at < @bytes.bytesize
      status, headers = head
      body = status < 200 ? interim(headers) : content(status, headers, methods[all.size] || "GET")
      all << [status, headers, body] if status >= 200
    end
    all
  end

  private

  def head
    match = HEAD.match(@bytes, @at) or raise Malformed, "no head at #{@at}: #{@bytes[@at, 200].inspect}"
    @at = match.end(0)
    headers = match[3].split("\r\n").map { |line| line.split(": ", 2) }
    names = headers.map { |name, _| name.downcase }
    %w[content-length transfer-encoding date connection].each do |name|
      raise Malformed, "#{name} twice" if names.count(name) > 1
    end
    [match[1].to_i, headers.to_h { |name, value| [name.downcase, value] }]
  end

  def interim(headers)
    raise Malformed, "an interim response with a framing" if headers.key?("content-length") || headers.key?("transfer-encoding")

    ""
  end

  def content(status, headers, method)
    raise Malformed, "no date" unless headers["date"]&.end_with?(" GMT")

    length, coding = headers.values_at("content-length", "transfer-encoding")
    raise Malformed, "both framings" if length && coding
    return "" if method == "HEAD" || status == 204 || status == 304
    return chunks if coding == "chunked"
    raise Malformed, "coding #{coding}" if coding
    return take(length) if length
    raise Malformed, "no framing on a connection that stays open" unless headers["connection"] == "close"

    take(@bytes.bytesize - @at)
  end

  def take(length)
    raise Malformed, "content-length #{length}" unless length.to_s.match?(/\A(?:0|[1-9]\d*)\z/)
    raise Malformed, "#{length} bytes announced, #{@bytes.bytesize - @at} sent" if length.to_i > @bytes.bytesize - @at

    @at += length.to_i
    @bytes[@at - length.to_i, length.to_i]
  end

  def chunks
    whole = +"".b
    while (match = CHUNK.match(@bytes, @at))
      @at = match.end(0)
      whole << take(match[1].to_i(16).to_s)
      raise Malformed, "no line break behind a chunk" unless @bytes[@at, 2] == "\r\n"

      @at += 2
    end
    raise Malformed, "no last chunk at #{@at}: #{@bytes[@at, 80].inspect}" unless @bytes[@at, 5] == "0\r\n\r\n"

    @at += 5
    whole
  end
end
