# frozen_string_literal: true

# Counts the bytes of a body, on a disk on which a file has no more than one page.
Process.setrlimit(Process::RLIMIT_FSIZE, 4096)

run ->(env) { [200, { "content-type" => "text/plain" }, [env["rack.input"].read.bytesize.to_s]] }
