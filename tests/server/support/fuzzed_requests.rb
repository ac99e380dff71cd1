# frozen_string_literal: true

# Random bytes of one client: valid requests of all kinds, one after the other, of which some are mutated.
class FuzzedRequests
  METHODS = %w[GET GET POST POST PUT HEAD DELETE OPTIONS PATCH QUERY x-y TRACE].freeze
  QUERIES = ["", "?", "?pieces=1", "?written", "?a=b&c=%20d", "?pieces&x=/?:@"].freeze
  PATHS = ["/", "/a", "/a/b.html", "/%E2%82%ac", "//", "/a;b=c", "/.././~"].freeze
  FIELDS = [["Accept", "*/*"], ["accept", "text/html;q=0.5, */*"], ["User-Agent", "fuzz (1.0) \"x\""], ["Cookie", "a=b"],
            ["Cookie", "c=d; e=f"], ["X-Empty", ""], ["X-Bytes", "\xff\xe2\t x".b], ["X!#$%&'*+.^`|~", "1"],
            ["Accept-Encoding", "gzip,\tbr"], ["Content-Type", "text/plain"], ["TE", "trailers"], ["Connection", "TE"],
            ["Connection", "keep-alive"], ["connection", " ,x,\tKeep-Alive , "], ["Upgrade", "h2c"], ["X-Long", "x" * 3000]].freeze
  # What parsers disagree about.
  PIECES = ["\r\n", "\n", "\r", "\0", " ", "\t", ":", ",", ";", "=", "\"", "%", "#", "?", "*", "0", "1", "a", "f", "_", "-",
            "\x7f", "\x80".b, "\xff".b, "\v", "\f", "\r\n\r\n", "\r\n ", "\r\n\t", "\n\n", "\r\r\n", "0\r\n\r\n", "1\r\na\r\n",
            "Content-Length: 5\r\n", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: identity\r\n",
            "Host: other\r\n", "Connection: close\r\n", "Expect: 100-continue\r\n", "Expect: x\r\n", "X_A: 1\r\n", "HTTP/1.0",
            "HTTP/1.1", "HTTP/2.0", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "0x", "+", "chunked", "gzip, ", "http://x", "99999999999999999999",
            "ffffffffffffffff"].freeze

  attr_reader :bytes

  def initialize(random)
    @random = random
    requests = Array.new(1 + (chance(0.5) ? 0 : number(20))) { request }
    at = number(requests.size)
    requests[at] = mutated(requests[at]) if chance(0.6)
    @bytes = requests.join
    @bytes = @bytes.byteslice(0, number(@bytes.bytesize + 1)) if chance(0.08)
  end

  # The bytes in random pieces, as they are sent.
  def fragments
    most = one_of([1, 3, 40, 2000, @bytes.bytesize + 1])
    # A byte at a time takes too long for many bytes.
    most = 2000 if most < 40 && @bytes.bytesize > 2000
    all = []
    at = 0
    while at < @bytes.bytesize
      all << @bytes.byteslice(at, 1 + number(most))
      at += all.last.bytesize
    end
    all
  end

  private

  def chance(share)
    @random.rand < share
  end

  def number(below)
    @random.rand(below)
  end

  def one_of(values)
    values[number(values.size)]
  end

  def request
    minor = chance(0.9) ? 1 : 0
    method = one_of(METHODS)
    fields = Array.new(number(6)) { one_of(FIELDS) }
    fields.insert(number(fields.size + 1), ["Host", one_of(%w[x test.example 127.0.0.1:80 [::1]:9292])]) if minor == 1 || chance(0.5)
    fields << ["Connection", one_of(["close", "Close\t", "x, close"])] if chance(0.05)
    framing, body = content(minor)
    fields.insert(number(fields.size + 1), framing) if framing
    fields << ["Expect", "100-continue"] if body != "" && minor == 1 && chance(0.1)
    # As many fields as are allowed, or one too many.
    fields.concat([["X-Many", "1"]] * (one_of([100, 101]) - fields.size)) if chance(0.02)
    head = fields.map { |name, value| "#{name}:".b << one_of(["", " ", " ", " ", "\t "]) << value.b << one_of(["", "", "", " \t"]) << "\r\n" }
    "#{"\r\n" if chance(0.03)}#{method} #{target(method)} HTTP/1.#{minor}\r\n".b << head.join << "\r\n" << body
  end

  def target(method)
    return "*" if method == "OPTIONS" && chance(0.5)

    "#{"http://test.example:80" if chance(0.05)}#{one_of(PATHS)}#{one_of(QUERIES)}"
  end

  # A field and the bytes behind the head.
  def content(minor)
    return [nil, ""] if chance(0.4)

    bytes = @random.bytes(chance(0.9) ? number(50) : number(chance(0.9) ? 5_000 : 200_000))
    return [["Content-Length", "#{"0" if chance(0.05)}#{bytes.bytesize}"], bytes] if minor.zero? || chance(0.5)

    [["Transfer-Encoding", one_of(["chunked", "Chunked", ",chunked ,"])], chunked(bytes)]
  end

  def chunked(bytes)
    text = +"".b
    until bytes.empty?
      chunk = bytes.slice!(0, 1 + number(chance(0.5) ? 10 : 70_000))
      text << "0" * (chance(0.05) ? 2 : 0) << chunk.bytesize.to_s(16).then { |size| chance(0.5) ? size : size.upcase }
      text << one_of([";a", ";a=b", ";a=\"b c\";d", ";a=b;c=d", " ; a\t= \"\\\"\" ;b"]) if chance(0.1)
      text << "\r\n" << chunk << "\r\n"
    end
    text << "0\r\n"
    text << "X-Trailer: 1\r\nX-Other:\r\n" if chance(0.1)
    text << "\r\n"
  end

  def mutated(request)
    (1 + number(3)).times do
      # Near the front, where the head is, more often than in a long body.
      at = number(chance(0.8) ? [request.bytesize, 300].min + 1 : request.bytesize + 1)
      case number(5)
      when 0 then request.insert(at, one_of(PIECES).b)
      when 1 then request.slice!(at, 1 + number(8))
      when 2 then request.setbyte(at, number(256)) if at < request.bytesize
      when 3 then request.insert(at, request.byteslice(number(request.bytesize + 1), 1 + number(60)))
      when 4 then at_line(request) { |line| request.insert(line, one_of(PIECES).b) }
      end
      break if request.empty?
    end
    request
  end

  # Where one of the first lines begins.
  def at_line(request)
    starts = request.byteslice(0, 2000).enum_for(:scan, /\r\n/n).map { Regexp.last_match.end(0) }
    yield one_of(starts) unless starts.empty?
  end
end
