# frozen_string_literal: true

# /wait waits briefly; all other paths return the number of collections so far.
class Collections
  def call(env)
    sleep 0.001 if env["PATH_INFO"] == "/wait"
    [200, { "content-type" => "text/plain" }, [env["PATH_INFO"] == "/wait" ? "waited" : GC.count.to_s]]
  end
end

run Collections.new.freeze
