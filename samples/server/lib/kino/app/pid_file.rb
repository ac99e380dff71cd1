# frozen_string_literal: true

require "etc"
require "fileutils"

require_relative "../config/named_file"
require_relative "../errors"
require_relative "launch"

module Kino
  # A file with the pid of this process, for as long as a server runs. The file of a process that is running is
  # never replaced, and a symbolic link is never followed.
  class PidFile
    # A process that began this much later than its file was written only has the same number; the clocks of files and
    # processes are not exact.
    TOLERANCE_SECONDS = 2

    # That of the option pidfile, or nil. Raises PidFileError.
    def self.for(settings)
      path = settings[:pidfile] or return
      settings.placed(:pidfile) { create(path, replaces: Launch.of_this_process.predecessor) }
    end

    # Raises a ConfigError if no file can be written there; does not create it.
    def self.check_place(settings)
      settings.placed(:pidfile) do
        NamedFile.check_writable(settings[:pidfile])
      rescue NamedFile::Unusable => e
        raise ConfigError, "cannot use the pidfile #{settings[:pidfile]}: #{e.message}"
      end
    end

    # Writes the file. Raises PidFileError if another process has it, except the one with the pid +replaces+, or it cannot
    # be written.
    def self.create(path, replaces: nil) = new(path, replaces).tap(&:create)

    # The file beside it with the addresses of the control plane; see ControlAddress.
    def self.control_path(path) = "#{path}.control"

    def self.running?(pid)
      Process.kill(0, pid)
      true
    rescue Errno::EPERM
      true
    rescue Errno::ESRCH, RangeError
      false
    end

    def initialize(path, replaces = nil)
      @path = path
      @replaces = replaces
    end

    def create
      locked(File::CREAT) do |file|
        text = file.read
        refuse("it is a file with something else") unless text.match?(/\A\d*\s*\z/)
        owner = owner_of(file, text.to_i)
        refuse("it belongs to #{owner}, which is running; stop that, or choose another file") if owner
        file.rewind
        file.write("#{Process.pid}\n")
        file.truncate(file.pos)
      end
    rescue Errno::ELOOP
      refuse("it is a symbolic link")
    rescue Errno::ENOENT
      refuse(NamedFile::NO_DIRECTORY)
    rescue SystemCallError => e
      refuse(e.message.sub(/ @ .*/, ""))
    end

    # Writes the addresses of the control plane beside the file, one on each line; without one, removes what a process that has
    # been killed left there. Raises PidFileError.
    def lead_to(addresses)
      place = PidFile.control_path(@path)
      FileUtils.rm_f(place)
      File.write(place, "#{addresses.join("\n")}\n", flags: File::WRONLY | File::CREAT | File::EXCL, perm: 0o644) unless addresses.empty?
    rescue SystemCallError => e
      raise PidFileError, "cannot write #{place}, which belongs to the pidfile: #{e.message.sub(/ @ .*/, "")}"
    end

    # Removes the file if it still is that of this process.
    def remove
      locked(0) do |file|
        next unless file.read.to_i == Process.pid

        FileUtils.rm_f(PidFile.control_path(@path))
        File.unlink(@path)
      end
    rescue SystemCallError, PidFileError
      nil
    end

    private

    def refuse(reason)
      raise PidFileError, "cannot use the pidfile #{@path}: #{reason}"
    end

    # Yields the file while no other process does the same: between reading and writing it, it stays as it is.
    def locked(creation)
      loop do
        File.open(@path, File::RDWR | creation | File::NOFOLLOW | File::NONBLOCK, 0o644, encoding: Encoding::BINARY) do |file|
          refuse("it is no regular file") unless file.stat.file?
          refuse("another process has locked it") unless file.flock(File::LOCK_EX | File::LOCK_NB)
          return yield(file) if current?(file)
        end
      end
    end

    # Not removed since it was opened.
    def current?(file)
      file.stat.ino == File.lstat(@path).ino
    rescue Errno::ENOENT
      false
    end

    # "pid 12 (puma)", if that process runs and is older than the file.
    def owner_of(file, pid)
      return if [0, Process.pid, @replaces].include?(pid) || !PidFile.running?(pid)

      began = start_of(pid)
      return if began && began > file.mtime.to_f + TOLERANCE_SECONDS

      name = read("/proc/#{pid}/comm").scrub("?").gsub(/[^[:print:]]/, "")
      name.empty? ? "pid #{pid}" : "pid #{pid} (#{name})"
    end

    # When a process began, in seconds since the epoch; nil if the system does not tell.
    def start_of(pid)
      ticks = read("/proc/#{pid}/stat")[/.*\) (.*)/, 1]&.split&.[](19)
      booted = read("/proc/stat")[/^btime (\d+)/, 1]
      booted.to_i + ticks.to_f / Etc.sysconf(Etc::SC_CLK_TCK) if ticks && booted
    end

    def read(path)
      File.read(path)
    rescue SystemCallError
      ""
    end
  end
end
