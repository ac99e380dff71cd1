# frozen_string_literal: true

require_relative "../app/pid_file"
require_relative "../config/named_file"
require_relative "../errors"

module Kino
  # Where `kino ctl` finds the control plane of a running server: at the address or by the pidfile that it is given, else by
  # control_bind or pidfile of the settings.
  module ControlAddress
    FOREIGN_WRITE = 0o022
    # Of a file with a pid or an address, in bytes.
    LONGEST_FILE = 4096

    # The address as a text. Raises ConfigError.
    def self.find(settings, address: nil, pidfile: nil)
      return address if address
      return by_pidfile(pidfile) if pidfile

      bound = settings[:control_bind]&.first
      return bound if bound
      return by_pidfile(settings[:pidfile]) if settings[:pidfile]

      raise ConfigError, "where is the control plane? Set control_bind in the configuration file (-C FILE) or KINO_CONTROL_BIND, " \
                         "or give --pidfile FILE or --control ADDRESS"
    end

    # A server with a pidfile writes the addresses of its control plane beside it.
    def self.by_pidfile(path)
      pid = pid_in(path)
      raise ConfigError, "no server runs: #{path} names the process #{pid}, which has ended" unless PidFile.running?(pid)

      NamedFile.open(PidFile.control_path(path), File::NOFOLLOW) do |file|
        refuse_foreign(file, pid)
        return file.gets("\n", LONGEST_FILE, chomp: true).to_s.force_encoding(Encoding::UTF_8).scrub("?")
      end
    rescue NamedFile::Unusable => e
      raise ConfigError, "the server of #{path} (pid #{pid}) has no control plane; it needs control_bind" if Errno::ENOENT === e.cause

      raise ConfigError, "cannot read #{PidFile.control_path(path)}: #{e.message}"
    end

    def self.pid_in(path)
      text = NamedFile.read(path, LONGEST_FILE)
      raise ConfigError, "#{path} is no pidfile" unless text.match?(/\A[1-9]\d*\s*\z/)

      text.to_i
    rescue NamedFile::Unusable => e
      raise ConfigError, "no server runs, or it has another pidfile: cannot read #{path}: #{e.message}"
    end

    # The token is sent to the address, so a user who is neither the server's nor root must not have written it.
    def self.refuse_foreign(file, pid)
      trusted = [0, Process.euid, *owner_of(pid)]
      stat = file.stat
      return if trusted.include?(stat.uid) && (stat.mode & FOREIGN_WRITE).zero?

      raise ConfigError, "#{file.path} may have been written by another user than the server's; remove it, or give --control ADDRESS"
    end

    def self.owner_of(pid)
      File.stat("/proc/#{pid}").uid
    rescue SystemCallError
      nil
    end
    private_class_method :by_pidfile, :pid_in, :refuse_foreign, :owner_of
  end
end
