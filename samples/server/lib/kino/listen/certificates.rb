# frozen_string_literal: true

require_relative "../app/log"
require_relative "../app/periodic"
require_relative "../config/named_file"
require_relative "../config/tls_type"
require_relative "../errors"
require_relative "../native"

module Kino
  # The certificates of a server: read from their files, checked, and read again when a file has changed.
  class Certificates
    CHECK_SECONDS = 60
    # Of a file, in bytes; one with every public authority has less than 300 KiB.
    LONGEST_FILE = 16 << 20
    VERIFY = { none: 0, peer: 1, force_peer: 2 }.freeze

    # Those of the option tls; nil without it.
    def self.for(settings)
      new(settings) if settings[:tls]
    end

    def initialize(settings)
      @settings = settings
      @entries = settings[:tls]
    end

    # In the form that the native code takes. Raises ConfigError with one sentence if they cannot be used.
    def load
      @settings.placed(:tls) { checked }
    end

    # Uses what the files have now for new connections. If they cannot be used, the server keeps what it has.
    def reload(id)
      Native.renew_tls(id, read)
      Log.line("tls: new connections use the certificates #{names}")
    rescue ConfigError, ArgumentError => e
      Log.line("#{e.message.delete_prefix("kino: ")}; the certificates in use stay")
    end

    # Reloads if a file has changed since it was last read.
    def check(id)
      reload(id) if fingerprint != @seen
    end

    # Checks once a minute, on a Thread of its own.
    def watch(id)
      return if paths.empty?

      @watcher = Periodic.new("kino certificates", CHECK_SECONDS) { check(id) }
    end

    def stop
      @watcher&.stop
    end

    private

    def checked
      read.tap { |native| Native.check_tls(native) }
    rescue ArgumentError, RuntimeError => e
      raise ConfigError, e.message.delete_prefix("kino: ")
    end

    def read
      @seen = fingerprint # before the files: a change in between is noticed later
      { certificates: @entries.select { |entry| entry[:cert] }.map { |entry| certificate(entry) }, **clients }
    end

    def certificate(entry)
      { chain: text(entry[:cert]), name: name(entry[:cert], "cert"),
        key: text(entry[:key]), key_name: name(entry[:key], "key") }
    end

    def clients
      verify = the_only(:verify) || :none
      authorities = the_only(:ca)
      if verify == :none
        raise ConfigError, "tls: ca is given without verify: peer or force_peer" if authorities

        return { clients: VERIFY[:none] }
      end
      raise ConfigError, "tls: verify: #{verify} needs ca:, the certificates of authorities that clients' must be signed by" unless authorities

      { clients: VERIFY[verify], client_ca: text(authorities), client_ca_name: name(authorities, "ca") }
    end

    def the_only(key)
      values = @entries.filter_map { |entry| entry[key] }.uniq
      raise ConfigError, "tls: #{key} applies to all certificates, but is given as #{values.join(" and ")}" if values.size > 1

      values.first
    end

    def text(source)
      return source if TLSType.inline?(source)

      NamedFile.read(source, LONGEST_FILE)
    rescue NamedFile::Unusable => e
      raise ConfigError, "tls: there is no file #{source}" if Errno::ENOENT === e.cause

      raise ConfigError, "tls: cannot read #{source}: #{e.message}"
    end

    def name(source, kind)
      TLSType.inline?(source) ? "the inline text of #{kind}" : source
    end

    def names
      @entries.filter_map { |entry| entry[:cert] && name(entry[:cert], "cert") }.join(", ")
    end

    def paths
      @entries.flat_map { |entry| entry.values_at(:cert, :key, :ca) }.compact.uniq.reject { |source| TLSType.inline?(source) }
    end

    # Changes when a file does, or the link that leads to it.
    def fingerprint
      paths.map do |path|
        stat = File.stat(path)
        [path, stat.ino, stat.size, stat.mtime.to_r]
      rescue SystemCallError
        [path]
      end
    end
  end
end
