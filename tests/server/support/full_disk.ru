# frozen_string_literal: true

# Counts the bytes of a body, on a disk that takes no more than one page per file.
Process.setrlimit(Process::RLIMIT_FSIZE, 4096)

run ->(env) { [200, { "content-type" => "text/plain" }, [env["rack.input"].read.bytesize.to_s]] }
