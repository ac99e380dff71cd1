# frozen_string_literal: true

# /wait waits a moment; everything else tells how many collections there have been.
class Collections
  def call(env)
    sleep 0.001 if env["PATH_INFO"] == "/wait"
    [200, { "content-type" => "text/plain" }, [env["PATH_INFO"] == "/wait" ? "waited" : GC.count.to_s]]
  end
end

run Collections.new.freeze
