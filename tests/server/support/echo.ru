# frozen_string_literal: true

# Answers a body with itself: what tests/stress/server_echo.cpp compares.
run(Ractor.make_shareable(proc { |env| [200, { "content-type" => "application/octet-stream" }, [env["rack.input"].read]] }))
