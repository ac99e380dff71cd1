# frozen_string_literal: true

require_relative "support/server_test"
require "kino/app/pid_file"

# The pidfile: whose it is, and what is never overwritten.
class PidFileTest < ServerTest
  def path = File.join(directory, "server.pid")

  def refused(path = self.path)
    error = assert_raises(Kino::PidFileError) { Kino::PidFile.create(path) }
    assert_includes error.message, "cannot use the pidfile #{path}: "
    error.message
  end

  # A process that does nothing, until the block returns.
  def with_process
    reader, writer = IO.pipe
    pid = Process.spawn("cat", in: reader, out: File::NULL)
    reader.close
    yield pid
  ensure
    writer.close
    Process.wait(pid) if pid
  end

  covers :pidfile
  def test_the_file_has_the_pid_while_the_server_runs
    server = start_server(Apps::Basic.new, mode: :threaded, workers: 1, pidfile: path)
    assert_equal "#{Process.pid}\n", File.read(path)
    assert_equal 0o644, File.stat(path).mode & 0o777 | 0o044
    server.shutdown
    refute_path_exists path
  end

  def test_a_server_that_has_been_replaced_does_not_touch_the_file
    server = start_server(Apps::Basic.new, mode: :threaded, workers: 1, pidfile: path)
    server.leave_addresses
    server.shutdown
    assert_equal "#{Process.pid}\n", File.read(path)
  end

  def test_a_start_that_fails_removes_the_file
    taken = TCPServer.new("127.0.0.1", 0)
    assert_raises(Kino::BindError) { start_server(Apps::Basic.new, mode: :threaded, workers: 1, pidfile: path, port: taken.addr[1]) }
    refute_path_exists path
  ensure
    taken&.close
  end

  def test_a_second_server_is_refused_and_leaves_the_file
    File.write(File.join(directory, "config.ru"), "run ->(env) { [200, {}, []] }\n")
    @child = Child.kino("-w", "1", "-m", "threaded", "--pidfile", path, chdir: directory)
    status, output = Child.output(File.join(Child::ROOT, "exe/kino"), "-p", "0", "-m", "threaded", "--pidfile", path, chdir: directory)
    assert_equal 1, status
    assert_match(/\Akino: --pidfile: cannot use the pidfile #{path}: it belongs to pid #{@child.pid} \(.+\), which is running; stop that, or choose another file\n\z/, output)
    assert_equal "#{@child.pid}\n", File.read(path)
    @child.signal("KILL")
    @child.status
    Kino::PidFile.create(path)
    assert_equal "#{Process.pid}\n", File.read(path)
  end

  def test_a_process_that_only_has_the_same_number_does_not_own_the_file
    with_process do |pid|
      File.write(path, "#{pid}\n")
      assert_match(/it belongs to pid #{pid}/, refused)
      next unless File.exist?("/proc/stat")

      File.utime(Time.now - 3600, Time.now - 3600, path)
      Kino::PidFile.create(path)
      assert_equal "#{Process.pid}\n", File.read(path)
    end
  end

  def test_stale_files_are_replaced_and_others_are_not_touched
    ["", "999999999\n", "#{Process.pid}\n", "1" * 100].each do |text|
      File.write(path, text)
      Kino::PidFile.create(path)
      assert_equal "#{Process.pid}\n", File.read(path)
    end
    File.write(path, "port 9292\n")
    assert_match(/a file with something else/, refused)
    assert_equal "port 9292\n", File.read(path)
    File.rename(path, "#{path}.target")
    File.symlink("#{path}.target", path)
    assert_match(/a symbolic link/, refused)
    File.unlink(path)
    File.symlink("#{path}.new", path)
    assert_match(/a symbolic link/, refused)
    refute_path_exists "#{path}.new"
    File.unlink(path)
    File.mkfifo(path)
    assert_match(/no regular file/, refused)
    assert_match(/Is a directory/, refused(directory))
    assert_match(/its directory does not exist/, refused(File.join(directory, "no/such.pid")))
  end

  def test_only_its_own_file_is_removed
    file = Kino::PidFile.create(path)
    File.write(path, "1\n")
    file.remove
    assert_equal "1\n", File.read(path)
    File.unlink(path)
    file.remove
    refute_path_exists path
  end

  # Of processes that start together, one gets the file.
  def test_one_of_many_gets_a_stale_file
    10.times do
      File.write(path, "999999999\n")
      go, start = IO.pipe
      result, answer = IO.pipe
      stay, release = IO.pipe
      children = Array.new(6) do
        fork do
          [start, release, result].each(&:close)
          go.read
          begin
            Kino::PidFile.create(path)
            answer.syswrite("+")
          rescue Kino::PidFileError
            answer.syswrite("-")
          end
          stay.read
          exit!(0)
        end
      end
      start.close
      assert_equal ["+", *["-"] * 5].tally, result.read(6).chars.tally
    ensure
      [go, start, result, answer, stay, release].each(&:close)
      children.each { |pid| Process.wait(pid) }
    end
  end
end
