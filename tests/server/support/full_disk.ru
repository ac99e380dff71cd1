# frozen_string_literal: true

# Counts the bytes of a body. Files are limited to one page, so a longer body finds the disk full.
Process.setrlimit(Process::RLIMIT_FSIZE, 4096)

run ->(env) { [200, { "content-type" => "text/plain" }, [env["rack.input"].read.bytesize.to_s]] }
