# frozen_string_literal: true

require_relative "support/server_test"

# The env that an app receives, checked by Rack::Lint.
class EnvTest < ServerTest
  def env_of(response)
    response.body.lines.to_h { |line| line.chomp.split("=", 2) }
  end

  test "env has the CGI keys of the request line and the connection" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      env = env_of(client.get("/env?a=1&b=%20x", headers: { "Host" => "example.org:8080" }))
      assert_equal "GET", env["REQUEST_METHOD"]
      assert_equal "", env["SCRIPT_NAME"]
      assert_equal "/env", env["PATH_INFO"]
      assert_equal "a=1&b=%20x", env["QUERY_STRING"]
      assert_equal "HTTP/1.1", env["SERVER_PROTOCOL"]
      assert_equal "example.org", env["SERVER_NAME"]
      assert_equal "8080", env["SERVER_PORT"]
      assert_equal "example.org:8080", env["HTTP_HOST"]
      assert_equal "127.0.0.1", env["REMOTE_ADDR"]
      assert_equal "http", env["rack.url_scheme"]
    end
  end

  test "SERVER_NAME and SERVER_PORT come from Host, which may lack a port" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      env = env_of(client.get("/env", headers: { "Host" => "example.org" }))
      assert_equal "example.org", env["SERVER_NAME"]
      assert_match(/\A\d+\z/, env["SERVER_PORT"])
      env = env_of(client.get("/env", headers: { "Host" => "[::1]:99" }))
      assert_equal ["[::1]", "99"], env.values_at("SERVER_NAME", "SERVER_PORT")
    end
  end

  test "the authority of an absolute target replaces Host, and the path is not decoded" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      env = env_of(client.get("http://example.net/env?q", headers: { "Host" => "example.net" }))
      assert_equal ["/env", "q", "example.net"], env.values_at("PATH_INFO", "QUERY_STRING", "SERVER_NAME")
      assert_equal 404, client.get("/%65nv").status, "PATH_INFO is not decoded"
      env = env_of(client.get("http://example.net:0081/env", headers: { "Host" => "other:99" }))
      assert_equal ["example.net", "81", "example.net:0081"], env.values_at("SERVER_NAME", "SERVER_PORT", "HTTP_HOST")
      client.send_raw("GET http://example.net:82/env HTTP/1.0\r\n\r\n")
      env = env_of(client.read_response)
      assert_equal ["example.net", "82", "example.net:82"], env.values_at("SERVER_NAME", "SERVER_PORT", "HTTP_HOST")
    end
  end

  test "header fields become HTTP_ keys, repeated ones joined and values stripped" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      headers = { "X-One" => "1", "x-many" => ["a", "b"], "Cookie" => ["c=1", "d=2"], "X-Empty" => "",
                  "X-Spaces" => "  in side\t ", "Content-Type" => "text/plain" }
      env = env_of(client.request("POST", "/env", headers: headers, body: "12345"))
      assert_equal "1", env["HTTP_X_ONE"]
      assert_equal "a, b", env["HTTP_X_MANY"]
      assert_equal "c=1; d=2", env["HTTP_COOKIE"]
      assert_equal "", env["HTTP_X_EMPTY"]
      assert_equal "in side", env["HTTP_X_SPACES"]
      assert_equal "text/plain", env["CONTENT_TYPE"]
      assert_equal "5", env["CONTENT_LENGTH"]
      refute_includes env, "HTTP_CONTENT_TYPE"
      refute_includes env, "HTTP_CONTENT_LENGTH"
    end
  end

  test "a header name of any spelling and length becomes its key" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      names = ["X" * 200, "x-#{"long-" * 500}name", "X-A", "b", "X_Under_Score", "!#$%&'*+.^`|~"]
      2.times do
        env = env_of(client.get("/env", headers: names.to_h { |name| [name, name] }))
        names.each { |name| assert_equal name, env["HTTP_#{name.upcase.tr("-", "_")}"] }
      end
      env = env_of(client.get("/env", headers: { "X-Some" => %w[a b], "x-Other" => "c", "X-SOME" => "d", "cookie" => "e=f", "COOKIE" => "g" }))
      assert_equal ["a, b, d", "c", "e=f; g"], env.values_at("HTTP_X_SOME", "HTTP_X_OTHER", "HTTP_COOKIE")
    end
  end

  test "no key of a request appears in the next one" do |mode|
    server = serve(Apps::Basic.new, mode, workers: 1)
    Client.open(server.port) do |client|
      client.get("/env?secret=1", headers: { "X-Secret" => "yes", "Cookie" => "a=b" })
      env = env_of(client.get("/env"))
      assert_equal "", env["QUERY_STRING"]
      assert_empty env.keys.grep(/SECRET|COOKIE/)
    end
  end

  test "every token is passed on as a method" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      %w[GET POST PUT PATCH DELETE OPTIONS QUERY PROPFIND PRI SOURCE UNHEARD-OF lower !$%&'*+.^_`|~].each do |method|
        assert_equal method, env_of(client.request(method, "/env"))["REQUEST_METHOD"]
      end
    end
  end

  test "six thousand different header names are passed on" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      300.times do |round|
        headers = (0...20).to_h { |n| ["X-N#{round}-#{n}", "v#{round * n}"] }
        env = env_of(client.get("/env", headers: headers))
        headers.each { |name, value| assert_equal value, env["HTTP_#{name.upcase.tr("-", "_")}"] }
      end
    end
  end

  # Changes the Strings of its env, as an app may with other servers.
  class Owner < Apps::Basic
    HEADERS = { "User-Agent" => "caf\u00e9", "Accept" => "*/*", "Accept-Language" => "en", "Content-Type" => "text/plain",
                "Referer" => "/", "Cookie" => "a=b", "X-Unknown" => "x" }.freeze
    # Other servers freeze these, too.
    CONSTANT = %w[SCRIPT_NAME rack.url_scheme].freeze

    def frozen(env)
      Apps.text(env.select { |_, value| value.is_a?(String) && value.frozen? }.keys.sort.join(" "))
    end

    def change(env)
      (env.keys - CONSTANT).each { |name| env[name] << "!" if env[name].is_a?(String) && name != "PATH_INFO" }
      env(env)
    end

    def agent(env)
      agent = env["HTTP_USER_AGENT"].force_encoding("UTF-8")
      Apps.text("#{agent.encoding} #{agent.length}")
    end
  end

  test "the app may change every value that other servers let it change" do |mode|
    server = serve(Owner.new, mode)
    Client.open(server.port) do |client|
      ["/frozen", "/frozen?a=b"].each do |path|
        body = "x" * 10
        response = client.request("POST", path, headers: Owner::HEADERS, body: body)
        assert_equal Owner::CONSTANT.join(" "), response.body
      end
      assert_equal "UTF-8 4", client.get("/agent", headers: Owner::HEADERS).body
    end
  end

  test "an app's changes to its env do not appear in other requests" do |mode|
    server = serve(Owner.new, mode, workers: 1, lint: false)
    Client.open(server.port) do |client|
      before = env_of(client.get("/env", headers: Owner::HEADERS))
      changed = env_of(client.get("/change", headers: Owner::HEADERS))
      assert_equal "caf\u00e9!".b, changed["HTTP_USER_AGENT"].b
      assert_equal "GET!", changed["REQUEST_METHOD"]
      assert_equal before, env_of(client.get("/env", headers: Owner::HEADERS))
    end
  end
end
