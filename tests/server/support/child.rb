# frozen_string_literal: true

require "rbconfig"
require "timeout"

# A server in a child process. Its log is read until the banner shows its address, and kept.
class Child
  ROOT = File.expand_path("../../../samples/server", __dir__)
  WAIT = 30

  attr_reader :pid, :log, :port

  # Where Ruby finds the server and its extension, for RUBYLIB.
  def self.load_path
    own = %w[kino.rb kino_native.so]
    paths = $LOAD_PATH.select { |path| path.include?("kino") || own.any? { |file| File.exist?(File.join(path, file)) } }
    [*paths, ENV["RUBYLIB"]].compact.uniq.join(":")
  end

  # For a process that runs the server: what the shell of these tests has set for kino is not for it.
  def self.environment(more = {})
    unset = ENV.keys.grep(/\AKINO_/).to_h { |name| [name, nil] }
    { **unset, "RUBYLIB" => load_path, "NO_COLOR" => "1" }.merge(more)
  end

  # kino with these arguments, on a free port.
  def self.kino(*arguments, **rest)
    ruby(File.join(ROOT, "exe/kino"), "-p", "0", *arguments, **rest)
  end

  # Any Ruby program that starts one server and shows its banner.
  def self.ruby(*arguments, **rest)
    new([RbConfig.ruby, "-W:no-experimental", "-w", *arguments], **rest).tap(&:await_banner)
  end

  # Runs a command to its end: [exit status, standard output and error].
  def self.output(*arguments, env: {}, chdir: Dir.pwd)
    child = new([RbConfig.ruby, "-w", *arguments], env: env, chdir: chdir)
    child.read_to_end
    [child.status, child.log]
  end

  # +descriptors+: further ones that the process gets, by number.
  def initialize(command, env: {}, chdir: Dir.pwd, **descriptors)
    @reader, writer = IO.pipe
    @log = +""
    @pid = Process.spawn(Child.environment(env), *command, out: writer, err: writer, in: File::NULL, chdir: chdir, **descriptors)
    writer.close
  end

  def await_banner
    @port = await_line(%r{^ +listening https?://\S*?:(\d+)})[1].to_i
    # The banner's last line: everything logged at the start precedes it.
    await_line(/^ +pid +\d+/)
  end

  # Reads the log until a line matches; the MatchData.
  def await_line(pattern)
    Timeout.timeout(WAIT) do
      loop do
        match = @log.match(pattern)
        return match if match && @log.index("\n", match.end(0) - 1)

        @log << @reader.readpartial(65_536)
      end
    end
  rescue EOFError
    finish
    raise "the child ended without a line like #{pattern.inspect}:\n#{@log}"
  end

  # Reads what is there.
  def read_more
    loop { @log << @reader.read_nonblock(65_536) }
  rescue IO::WaitReadable, EOFError
    nil
  end

  def read_to_end
    Timeout.timeout(WAIT) { @log << @reader.read }
  end

  # Starts a Thread that reads the log to its end, so the pipe never fills up.
  def follow
    @follower = Thread.new do
      loop { @log << @reader.readpartial(65_536) }
    rescue EOFError
      nil
    end
  end

  def signal(name)
    Process.kill(name, @pid)
  end

  # Waits for the process to end, and reads the rest of its log; returns its exit status, or the name of the signal that ended it.
  def status
    @status ||= Timeout.timeout(WAIT) { wait.tap { @follower ? @follower.join : @log << @reader.read } }
  end

  # Likewise, but leaves the log to the processes that it has started, which may go on.
  def wait
    @ended ||= Timeout.timeout(WAIT) do
      _, status = Process.wait2(@pid)
      status.exitstatus || "SIG#{Signal.signame(status.termsig)}"
    end
  end

  # Whether #wait or #status has returned.
  def ended? = !@ended.nil?

  # Kills the process if it is still running, and closes the pipe.
  def finish
    return if ended?

    Process.kill("KILL", @pid)
    Process.wait(@pid)
    @ended = @status = "SIGKILL"
  rescue Errno::ESRCH, Errno::ECHILD
    nil
  ensure
    @follower&.join(WAIT)
    @reader.close unless @reader.closed?
  end
end
