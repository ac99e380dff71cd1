# frozen_string_literal: true

# Answers a body with itself: what tests/stress/server_echo.cpp compares.
class EchoApp
  HEADERS = { "content-type" => "application/octet-stream" }.freeze

  def call(env)
    [200, HEADERS, [env["rack.input"].read]]
  end
end

run EchoApp.new.freeze
