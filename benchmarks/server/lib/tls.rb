# frozen_string_literal: true

require "openssl"

module Bench
  # Encrypted connections to one server process, which also speaks plain HTTP.
  module Tls
    # Clients that connect at the same time, each after its previous connection has ended.
    CLIENTS = 4
    SERVERS = %w[kino puma nginx].freeze
    NAMES = { plain: "kept connections, plain HTTP", encrypted: "kept connections, TLS",
              full: "a connection each, full handshake", resumed: "a connection each, resumed session" }.freeze

    module_function

    def installed?
      system("openssl", "version", out: File::NULL, err: File::NULL)
    end

    # The --tls of kino.
    def option = files.map { |name, path| "#{name}=#{path}" }.join(",")

    # A certificate with an EC key, as most servers have, and the key.
    def files
      @files ||= begin
        key = OpenSSL::PKey::EC.generate("prime256v1")
        certificate = OpenSSL::X509::Certificate.new
        certificate.version = 2
        certificate.serial = 1
        certificate.subject = certificate.issuer = OpenSSL::X509::Name.parse("/CN=localhost")
        certificate.not_before = Time.now - 60
        certificate.not_after = Time.now + 86_400
        certificate.public_key = key
        certificate.sign(key, "SHA256")
        { cert: Endpoint.scratch_file("tls.pem", certificate.to_pem), key: Endpoint.scratch_file("tls.key", key.to_pem) }
      end
    end

    # Requests for +path+ per second, each on a connection of its own: TLS 1.3, with a full handshake or a resumed session.
    def connect(port, path, resumed:, seconds:)
      command = ["openssl", "s_time", "-connect", "127.0.0.1:#{port}", "-www", path, resumed ? "-reuse" : "-new",
                 "-time", seconds.ceil.to_s, "-tls1_3"]
      clients = Array.new(CLIENTS) { IO.popen(Machine.pinned(Machine.load_cpus, command), err: File::NULL) }
      ended = clients.map { |io| io.read.scan(/(\d+) connections in (\d+) real seconds/).last.tap { io.close } }
      return { failed: "openssl s_time printed no number" } unless ended.all?

      { rate: ended.sum { |count, real| count.to_f / real.to_i }, requests: ended.sum { |count, _| count.to_i } }
    end
  end
end
