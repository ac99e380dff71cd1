# frozen_string_literal: true

# Shows which Ractor answered. Run it and send some concurrent requests:
#
#   kino which_ractor.ru
#   seq 8 | xargs -P8 -I{} curl -s http://127.0.0.1:9292/
#
# The app is one frozen object without state, so every Ractor can share it. It waits briefly, as if for a
# database: concurrent requests go to other Ractors, later ones to the most recently used Ractor.
class WhichRactor
  HEADERS = { "content-type" => "text/plain; charset=utf-8" }.freeze

  def call(env)
    sleep 0.02
    name = Ractor.current.name
    line = name ? "answered by the Ractor \"#{name}\"" : "answered in the main Ractor"
    [200, HEADERS.dup, ["#{env["REQUEST_METHOD"]} #{env["PATH_INFO"]} #{line}\n"]]
  end
end

run WhichRactor.new.freeze
