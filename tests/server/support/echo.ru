# frozen_string_literal: true

# Echoes the body, for tests/stress/server_echo.cpp.
class EchoApp
  HEADERS = { "content-type" => "application/octet-stream" }.freeze

  def call(env)
    [200, HEADERS, [env["rack.input"].read]]
  end
end

run EchoApp.new.freeze
