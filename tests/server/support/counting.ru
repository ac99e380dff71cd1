# frozen_string_literal: true

# Adds a byte to the file that the query names, so its size is the number of calls.
class CountingApp
  HEADERS = { "content-type" => "text/plain" }.freeze

  def call(env)
    path = env["QUERY_STRING"]
    File.write(path, ".", mode: "a") unless path.empty?
    [200, HEADERS, ["counted"]]
  end
end

run CountingApp.new.freeze
