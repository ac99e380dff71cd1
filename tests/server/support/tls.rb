# frozen_string_literal: true

require "openssl"

require_relative "server_test"

# A key and its certificate, made for a test.
class Identity
  LIBRARY = $LOADED_FEATURES.grep(/kino_native\./).map { |path| path.sub("kino_native", "kino_tls") }.first

  attr_reader :key, :certificate

  # Whether the server is built with BoringSSL.
  def self.usable? = File.exist?(LIBRARY)

  def self.serial
    @serial = (@serial || 0) + 1
  end

  def initialize(name, authority: nil, from: Time.now - 3600, to: Time.now + 3600)
    @key = OpenSSL::PKey::EC.generate("prime256v1")
    @certificate = OpenSSL::X509::Certificate.new
    @certificate.version = 2
    @certificate.serial = Identity.serial
    @certificate.subject = OpenSSL::X509::Name.parse("/O=kino/CN=#{name}")
    @certificate.issuer = (authority || self).certificate.subject
    @certificate.public_key = @key
    @certificate.not_before = from
    @certificate.not_after = to
    extend_with(name, authority)
    @certificate.sign((authority || self).key, "SHA256")
  end

  def pem
    @certificate.to_pem
  end

  # Writes both files, each at once as a whole, and returns the option's value.
  def write(directory, name = "server")
    { cert: replace(File.join(directory, "#{name}.pem"), pem), key: replace(File.join(directory, "#{name}.key"), @key.to_pem) }
  end

  private

  def extend_with(name, authority)
    factory = OpenSSL::X509::ExtensionFactory.new(@certificate, @certificate)
    @certificate.add_extension(factory.create_extension("subjectAltName", "DNS:#{name},IP:127.0.0.1"))
    @certificate.add_extension(factory.create_extension("basicConstraints", "CA:TRUE", true)) unless authority
  end

  def replace(path, text)
    File.write("#{path}.new", text)
    File.rename("#{path}.new", path)
    path
  end
end

# A Client over TLS.
class TLSClient < Client
  # +before+: bytes in front of the handshake.
  def initialize(port, host: nil, trust: nil, certificate: nil, session: nil, before: nil, **options)
    super(port)
    send_raw(before) if before
    @plain = @socket
    context = OpenSSL::SSL::SSLContext.new
    context.verify_mode = OpenSSL::SSL::VERIFY_NONE
    if trust
      context.verify_mode = OpenSSL::SSL::VERIFY_PEER
      context.cert_store = OpenSSL::X509::Store.new.tap { |store| store.add_cert(trust.certificate) }
    end
    context.cert, context.key = certificate.certificate, certificate.key if certificate
    context.session_cache_mode = OpenSSL::SSL::SSLContext::SESSION_CACHE_CLIENT
    context.session_new_cb = ->((_, made)) { @session = made }
    options.each { |name, value| context.public_send("#{name}=", value) }
    @socket = OpenSSL::SSL::SSLSocket.new(@plain, context)
    @socket.hostname = host if host
    @socket.session = session if session
    begin
      @socket.connect
    rescue OpenSSL::SSL::SSLError, SystemCallError
      @plain.close
      raise
    end
  end

  attr_reader :session, :plain

  def close
    @plain.close
  end
end

# A test of a server with TLS.
class TLSServerTest < ServerTest
  def setup
    super
    skip "the server is built without BoringSSL" unless Identity.usable?
    @identity = Identity.new("server.example")
  end

  def serve_tls(app = Apps::Basic.new, mode = :threaded, tls: @identity.write(directory), **options)
    serve(app, mode, tls: tls, **options)
  end

  def env_of(response)
    response.body.lines.grep(/\A[A-Za-z_.]+=/).to_h { |line| line.chomp.split("=", 2) }
  end

  def tls_stats(server)
    server.stats.fetch(:tls)
  end
end
