# frozen_string_literal: true

# Reads the bytes of a client as RFC 9112, RFC 9110 and RFC 3986 define requests, without any code of the server, and
# says what the server owes for each. It is strict: what the grammar does not allow is rejected, except empty lines before
# a request. Where an RFC leaves the decision to the server, the request is `free`: the server may reject it, or serve it
# as it is understood here.
class Http1Oracle
  # +verdict+ is :accept, :reject, or :incomplete if the bytes end within the request. +fields+: names in lower case with
  # their values, in order. +silent+: the server may close without a response, because it may wait for the rest of the head.
  Request = Struct.new(:verdict, :why, :free, :silent, :method, :target, :path, :query, :minor, :fields, :body, :close,
                       :continues, keyword_init: true) do
    def values(name)
      fields.filter_map { |field, value| value if field == name }
    end

    # The elements of a header whose value is a list.
    def list(name)
      values(name).flat_map { |value| value.split(",") }.map { |one| one.gsub(/\A[ \t]+|[ \t]+\z/, "").downcase }.reject(&:empty?)
    end
  end

  Rejected = Class.new(StandardError)
  Incomplete = Class.new(StandardError)

  TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/n
  VALUE = /[\t\x20-\x7e\x80-\xff]*/n
  FIELD = /\A(#{TOKEN}):[ \t]*(#{VALUE})\z/n
  ENCODED = "%[0-9A-Fa-f]{2}"
  UNRESERVED = "A-Za-z0-9\\-._~!$&'()*+,;="
  # What RFC 3986 allows in a path and a query, and visible characters that it does not.
  URI = %r{\A(?:[#{UNRESERVED}:@/?]|#{ENCODED})*\z}n
  VISIBLE = /\A(?:[\x21-\x24\x26-\x7e]|#{ENCODED})*\z/n
  HOST = /\A((?:[#{UNRESERVED}]|#{ENCODED})+)(?::(\d*))?\z/n
  LITERAL = /\A\[[0-9A-Fa-f:.]+\](?::(\d*))?\z/n
  BLANKS = /[ \t]*/n
  QUOTED = /"(?:[\t\x20!\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"/n
  EXTENSION = /#{BLANKS};#{BLANKS}#{TOKEN}(?:#{BLANKS}=#{BLANKS}(?:#{TOKEN}|#{QUOTED}))?/n
  CHUNK = /\A([0-9A-Fa-f]+)(?:#{EXTENSION})*\z/n
  MOST_FIELDS = 100
  MOST_BODY = 50 << 20

  # The requests in +bytes+. The last one may be rejected or incomplete, or end the connection.
  def self.requests(bytes)
    new(bytes.b).requests
  end

  def initialize(bytes)
    @bytes = bytes
    @at = 0
  end

  def requests
    all = []
    loop do
      @at += 2 while @bytes[@at, 2] == "\r\n"
      return all if @at >= @bytes.bytesize

      all << read
      return all if all.last.verdict != :accept || all.last.close
    end
  end

  private

  def read
    start = @at
    @request = Request.new(verdict: :accept, fields: [])
    request_line
    fields(@request.fields)
    target
    host
    framing
    connection
    @request.body = body
    @request
  rescue Rejected, Incomplete => e
    @request.verdict = e.is_a?(Rejected) ? :reject : :incomplete
    @request.why = e.message
    @request.silent = @request.verdict == :incomplete || !@bytes.match?(/\n\r?\n/n, start)
    @request
  end

  def reject(why)
    raise Rejected, why
  end

  # The server may reject this, or not.
  def doubt(why)
    @request.free ||= why
  end

  # The next line without its end.
  def line
    stop = @bytes.index("\n", @at) or raise Incomplete, "a line"
    text = @bytes[@at...stop]
    reject("a bare line feed") unless text.end_with?("\r")
    text.chop!
    reject("a bare carriage return") if text.include?("\r")
    @at = stop + 1
    text
  end

  def request_line
    # Even a bad request with this method has a response without a body.
    @request.method = @bytes.match(/\G(HEAD) /n, @at)&.[](1)
    match = line.match(%r{\A(#{TOKEN}) ([\x21-\x7e]+) HTTP/(\d)\.(\d)\z}n) or reject("no request line")
    reject("version") unless match[3] == "1"
    reject("CONNECT") if match[1] == "CONNECT"
    @request.method = match[1]
    @request.target = match[2]
    @request.minor = match[4] == "0" ? 0 : 1
  end

  def fields(into)
    until (text = line).empty?
      match = text.match(FIELD) or reject("no field: #{text.inspect}")
      into << [match[1].downcase, match[2].sub(/[ \t]+\z/n, "")]
      reject("too many fields") if into.size > MOST_FIELDS
    end
  end

  def target
    text = @request.target
    return target_all if text == "*"

    if (url = text.match(%r{\A(?:https?)://([^/?]*)(.*)\z}in))
      authority(url[1])
      return @request.path = "*" if url[2].empty? && @request.method == "OPTIONS"

      text = url[2].start_with?("/") ? url[2] : "/#{url[2]}"
    end
    reject("target") unless text.start_with?("/") && text.match?(VISIBLE)
    reject("a fragment") if text.include?("#")
    doubt("a character that URIs do not allow") unless text.match?(URI)
    @request.path, @request.query = text.split("?", 2)
  end

  def target_all
    reject("an asterisk") unless @request.method == "OPTIONS"
    @request.path = "*"
  end

  def host
    hosts = @request.values("host")
    reject("Host twice") if hosts.size > 1
    reject("no Host") if hosts.empty? && @request.minor == 1
    hosts.each { |one| authority(one) }
  end

  def authority(text)
    return doubt("an empty authority") if text.empty?
    if (literal = text.match(LITERAL))
      doubt("an address") unless text.start_with?("[::1]")
      return port(literal[1])
    end

    match = text.match(HOST) or reject("no authority: #{text.inspect}")
    port(match[2])
  end

  def port(digits)
    return if digits.nil?
    return doubt("an empty port") if digits.empty?

    doubt("an unusual port") if digits.start_with?("0") || digits.size > 5
    reject("port") if digits.to_i > 65_535
  end

  def framing
    names = @request.fields.map(&:first)
    reject("an underscore") unless (names & %w[content_length transfer_encoding content_type]).empty?
    doubt("an underscore") if names.any? { |name| name.include?("_") }
    lengths = @request.values("content-length")
    codings = @request.values("transfer-encoding")
    reject("Content-Length twice") if lengths.size > 1
    reject("both framings") unless lengths.empty? || codings.empty?
    unless lengths.empty?
      reject("Content-Length") unless lengths[0].match?(/\A\d+\z/)
      reject("size") if lengths[0].to_i > MOST_BODY
      doubt("a long length") if lengths[0].size > 19
    end
    return if codings.empty?

    reject("a coding in HTTP/1.0") if @request.minor.zero?
    reject("coding") unless @request.list("transfer-encoding") == ["chunked"]
    doubt("codings in several fields") if codings.size > 1
  end

  def connection
    options = @request.list("connection")
    @request.close = options.include?("close") || (@request.minor.zero? && !options.include?("keep-alive"))
    expectations = @request.list("expect")
    return if expectations.empty? && @request.values("expect").empty?

    doubt("an expectation in HTTP/1.0") if @request.minor.zero?
    return doubt("an empty expectation") if expectations.empty?

    reject("expectation") if @request.minor == 1 && expectations != ["100-continue"] && expectations.uniq != ["100-continue"]
    doubt("an expectation twice") if expectations.size > 1
    @request.continues = true
  end

  def body
    return chunks unless @request.values("transfer-encoding").empty?

    size = @request.values("content-length").first.to_i
    raise Incomplete, "a body" if @bytes.bytesize - @at < size

    @at += size
    @bytes[@at - size, size]
  end

  def chunks
    whole = +"".b
    loop do
      match = line.match(CHUNK) or reject("chunk size or extension")
      doubt("a long chunk size") if match[1].size > 16
      size = match[1].to_i(16)
      reject("size") if whole.bytesize + size > MOST_BODY
      break if size.zero?

      rest = @bytes.bytesize - @at
      reject("chunk end") if rest > size && @bytes[@at + size] != "\r" || rest > size + 1 && @bytes[@at + size + 1] != "\n"
      raise Incomplete, "a chunk" if rest < size + 2

      whole << @bytes[@at, size]
      @at += size + 2
    end
    trailers
    whole
  end

  def trailers
    fields(names = [])
    doubt("an underscore in a trailer") if names.any? { |name, _| name.include?("_") }
    doubt("a framing field as a trailer") unless (names.map(&:first) & %w[content-length transfer-encoding host]).empty?
  end
end
