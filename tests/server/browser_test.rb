# frozen_string_literal: true

require "json"

require_relative "support/browser"
require_relative "support/tls"

# A browser: a page that talks to the server over TLS, with HTTP/2, and reports what it got.
class BrowserTest < TLSServerTest
  include Browser

  TOGETHER = 10 # more than a browser opens connections to one host

  PAGE = <<~HTML
    <!doctype html><title>kino</title>
    <script type="module">
      const report = {};
      const text = async (path, options) => (await fetch(path, options)).text();
      try {
        const paths = [...Array(#{TOGETHER}).keys()].map((i) => `/together?${i}`);
        report.together = await Promise.all(paths.map((path) => text(path)));
        const upload = new Uint8Array(8_000_000).map((_, i) => i % 251);
        report.digest = await text('/digest', { method: 'POST', body: upload });

        const stop = new AbortController();
        const endless = await fetch('/endless', { signal: stop.signal });
        const reader = endless.body.getReader();
        report.first = new TextDecoder().decode((await reader.read()).value).slice(0, 4);
        stop.abort();
        try { while (!(await reader.read()).done); } catch (error) { report.aborted = error.name; }
        report.after = await text('/');
        report.protocols = [...new Set(performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol))];
      } catch (error) { report.error = String(error); }
      await fetch('/report', { method: 'POST', body: JSON.stringify(report) });
    </script>
  HTML

  class App < Apps::Basic
    attr_reader :reports, :ends

    def initialize
      super
      @reports = Queue.new
      @ends = Queue.new
      @lock = Mutex.new
      @all = ConditionVariable.new
      @present = 0
    end

    def page(_env)
      [200, { "content-type" => "text/html" }, [PAGE]]
    end

    # Responds once all of these requests are here.
    def together(env)
      @lock.synchronize do
        @present += 1
        @all.broadcast
        @all.wait(@lock) until @present == TOGETHER
      end
      [200, {}, [env["QUERY_STRING"]]]
    end

    def endless(_env)
      ends = @ends
      body = Enumerator.new do |out|
        loop { out << "some" * 1000 }
      rescue SystemCallError => e
        ends << e.class
        raise
      end
      [200, { "content-type" => "text/plain" }, body]
    end

    def report(env)
      @reports << JSON.parse(env["rack.input"].read, symbolize_names: true)
      [204, {}, []]
    end
  end

  def setup
    super
    need_browser
  end

  def test_concurrent_requests_an_upload_and_an_aborted_response
    app = App.new
    server = start_server(app, mode: :threaded, workers: TOGETHER + 2, threads: 1, tls: @identity.write(directory))
    browse("#{server.url}/page", "--ignore-certificate-errors")
    report = app.reports.pop
    assert_nil report[:error]
    assert_equal Array.new(TOGETHER, &:to_s), report[:together]
    upload = Array.new(8_000_000) { |i| i % 251 }.pack("C*")
    assert_equal "#{upload.bytesize} #{upload.sum(32)}", report[:digest]
    assert_equal %w[some AbortError hello], report.values_at(:first, :aborted, :after)
    assert_equal %w[h2], report[:protocols]
    assert_equal Errno::EPIPE, app.ends.pop
    assert_healthy_over_tls(server)
  end

  def assert_healthy_over_tls(server)
    eventually("in_flight back to 0") { server.stats[:in_flight].zero? }
    TLSClient.open(server.port) { |client| assert_equal 200, client.get("/").status }
  end
end
