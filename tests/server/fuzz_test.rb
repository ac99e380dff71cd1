# frozen_string_literal: true

require_relative "support/fuzzed_requests"
require_relative "support/http1_oracle"
require_relative "support/server_test"
require_relative "support/strict_responses"

# Random clients, valid and hostile, against a server in a separate process. An oracle, written from the RFCs alone,
# decides which responses are correct. SEED= repeats a run; KINO_FUZZ= sets the number of clients in each mode.
class FuzzTest < ServerTest
  SEED = Integer(ENV.fetch("SEED", Random.new_seed % 1_000_000_000))
  CLIENTS = Integer(ENV.fetch("KINO_FUZZ", 400))
  LIMIT = 90 + CLIENTS / 10
  APP = File.join(__dir__, "support/fuzz.ru")
  CANARY_EVERY = 20
  # Fields that a server may remove or add before the app sees the request; the host may come from the target.
  PRIVATE = %w[HTTP_HOST HTTP_CONNECTION HTTP_TRANSFER_ENCODING HTTP_EXPECT HTTP_VERSION CONTENT_LENGTH].freeze

  # A client that keeps all bytes it receives.
  class Recorder < Client
    attr_reader :received

    def initialize(...)
      super
      @received = +"".b
    end

    private

    def fill
      before = @buffer.bytesize
      filled = super
      @received << @buffer.byteslice(before..) if filled
      filled
    end
  end

  test "every request gets a response that the RFCs allow" do |mode|
    @child = Child.kino("-m", mode.to_s, "-w", "4", APP)
    log = @child.follow
    kinds = Hash.new(0)
    CLIENTS.times do |index|
      @requests = FuzzedRequests.new(@random = Random.new(SEED + index))
      kinds[converse] += 1
      canary if (index % CANARY_EVERY).zero?
    rescue Minitest::Assertion, StandardError => e
      flunk "#{e.message}\n#{e.class} of client #{index}; `SEED=#{SEED + index} KINO_FUZZ=1` repeats it\n" \
            "sent: #{brief(@requests.bytes)}\nreceived: #{brief(@client.received)}\n" \
            "at #{e.backtrace.grep(/fuzz_test/).first}\nlogged: #{last_words(log)}"
    end
    canary
    # Every kind of conversation has occurred.
    assert_equal %i[accept incomplete left reject], kinds.keys.sort, kinds.inspect if CLIENTS >= 400
    @child.signal("TERM")
    assert_equal 0, @child.status
    log.join
    refute_match(/raised|died|BUG/, @child.log)
  end

  private

  def canary
    Client.open(@child.port) { |client| assert_equal 200, client.get("/canary").status }
  end

  # The end of the server's log, which may explain the failure.
  def last_words(log)
    @child.signal("TERM")
    log.join(Child::WAIT)
    @child.log.lines.last(4).join
  rescue Errno::ESRCH
    @child.log
  end

  # One connection, from its first byte to its end. Returns the oracle's verdict on its last request.
  def converse
    @client = Recorder.new(@child.port)
    return leave if @random.rand < 0.1

    expected = Http1Oracle.requests(@requests.bytes)
    send_all
    responses = []
    expected.each do |request|
      # The end of the stream tells the server that the rest of this request will not come.
      half_close unless request.verdict == :accept
      response = final_response(request)
      responses << response if response
      break unless check(request, response)
    end
    rest = finish(expected.last, responses.last)
    reread(expected, responses, rest)
    expected.last&.verdict || :accept
  ensure
    @client.close
  end

  # Sends some of the bytes and disconnects.
  def leave
    @requests.fragments.each do |fragment|
      break if @random.rand < 0.1

      @client.send_raw(fragment)
    end
    @random.rand < 0.5 ? @client.reset : @client.close
    :left
  rescue Errno::EPIPE, Errno::ECONNRESET
    :left
  end

  # The server may have rejected something and closed.
  def send_all
    @requests.fragments.each do |fragment|
      @client.send_raw(fragment)
      Thread.pass if @random.rand < 0.3
    end
  rescue Errno::EPIPE, Errno::ECONNRESET
    nil
  end

  def half_close
    @client.close_write
  rescue Errno::ENOTCONN, Errno::EPIPE
    nil
  end

  # The next response that is not interim; nil at the end of the connection.
  def final_response(request)
    loop do
      response = @client.read_response(request.method || "GET")
      assert response.complete, "a truncated response"
      return response unless response.status == 100

      assert request.continues || request.free, "an unrequested 100"
    end
  rescue EOFError => e
    assert_equal "closed within a line: \"\"", e.message
    nil
  end

  # Checks a response; returns whether the connection stays open.
  def check(request, response)
    case request.verdict
    when :accept
      refute_nil response, "no response to #{describe(request)}"
      return rejected(request, response) if request.free && response.status != 200

      accepted(request, response)
    when :reject
      refute_nil response, "no response to #{describe(request)}" unless request.silent
      rejected(request, response) if response
    when :incomplete
      rejected(request, response) if response
    end
  end

  def rejected(request, response)
    assert_includes 400..599, response.status, describe(request)
    assert response.closes?, "a rejection that does not close: #{describe(request)}"
    false
  end

  def accepted(request, response)
    assert_equal 200, response.status, describe(request)
    assert response.closes?, "the connection should close: #{describe(request)}" if request.close
    assert_same_request(request, Marshal.load(response.body)) unless request.method == "HEAD"
    return true unless response.closes?

    # In HTTP/1.0, only the end of the connection ends a body without a length.
    assert request.close || request.minor.zero? && response["content-length"].nil?, "closed without a reason: #{describe(request)}"
    false
  end

  def assert_same_request(request, seen)
    method, path, query, fields, body = seen
    assert_equal [request.method, request.path, request.query.to_s, request.body], [method, path, query, body.to_s.b]
    assert_equal body.to_s.bytesize, fields["CONTENT_LENGTH"].to_i
    own = fields.reject { |name, _| PRIVATE.include?(name) }
    hidden, visible = request.fields.partition { |name, _| name.include?("_") }
    wanted = visible.group_by { |name, _| key(name) }.transform_values { |same| joined(same) }.reject { |name, _| PRIVATE.include?(name) }
    # The server may drop fields whose names have underscores.
    own.delete_if { |name, _| hidden.any? { |one, _| key(one) == name } } unless hidden.empty?
    wanted.delete_if { |name, _| hidden.any? { |one, _| key(one) == name } }
    assert_equal wanted, own.transform_values(&:b)
  end

  def key(name)
    name.match?(/\Acontent-(?:type|length)\z/) ? name.upcase.tr("-", "_") : "HTTP_#{name.upcase.tr("-", "_")}"
  end

  def joined(fields)
    fields.map(&:last).join(fields[0][0] == "cookie" ? "; " : ", ")
  end

  # Nothing follows the last response, and the connection ends. One exception: a request line may be so malformed that the
  # server does not recognise HEAD and sends the body of its rejection, which is returned.
  def finish(request, response)
    half_close
    rest = @client.read_to_end
    unless request&.method == "HEAD" && request.verdict != :accept && response && rest.bytesize == response["content-length"].to_i
      assert_equal "", rest
    end
    rest
  rescue Errno::ECONNRESET
    ""
  end

  # A second parser, which gets all bytes at once, reads the same responses.
  def reread(expected, responses, rest)
    responses.last.body << rest unless rest.empty?
    methods = expected.map { |request| request.method || "GET" }
    methods[responses.size - 1] = "GET" unless rest.empty?
    again = StrictResponses.read(@client.received, methods)
    assert_equal responses.map { |response| [response.status, response.body] }, again.map { |status, _, body| [status, body] }
  end

  def brief(bytes)
    bytes.inspect.gsub(/x{50,}/) { |many| "(#{many.size} x)" }[0, 2000]
  end

  def describe(request)
    "#{request.verdict} (#{request.why || request.free || "as it is"}) of #{request.method.inspect} #{request.target.inspect[0, 80]}"
  end
end
