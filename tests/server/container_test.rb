# frozen_string_literal: true

require_relative "support/process_table"
require_relative "support/server_test"

# kino as process 1, as in a container: signals without a handler do nothing there, and it becomes the parent of what others leave
# behind. Skipped where the system permits no namespaces.
class ContainerTest < ServerTest
  include ProcessTable

  NAMESPACES = [*%w[unshare --pid --fork --kill-child --mount-proc], *(%w[--user --map-root-user] unless Process.uid.zero?)].freeze
  # Answers with what a command prints.
  APP = <<~'RUBY'
    require "uri"
    run ->(env) { [200, {}, [env["PATH_INFO"] == "/sh" ? IO.popen(["sh", "-c", URI.decode_www_form_component(env["QUERY_STRING"])], &:read) : "up"]] }
  RUBY

  def setup
    super
    reason = IO.popen([*NAMESPACES, "true"], err: %i[child out], &:read)
    skip "namespaces are not permitted: #{reason}" unless $?.success?
  rescue Errno::ENOENT
    skip "unshare is missing (Debian: util-linux)"
  end

  def teardown
    kill(children_of(@child.pid)) if @child && !@child.ended?
    super
  end

  def start(*arguments)
    File.write(File.join(directory, "config.ru"), APP)
    @child = Child.new([*NAMESPACES, *kino, *arguments], chdir: directory)
    @child.await_banner
    @kino = children_of(@child.pid).first
  end

  def kino = [RbConfig.ruby, "-W:no-experimental", "-w", File.join(Child::ROOT, "exe/kino"), "-p", "0", "-m", "threaded", "-w", "2"]

  def signal(name) = Process.kill(name, @kino)

  def get(path) = Client.open(@child.port) { |client| client.get(path).body }

  def stop
    signal("TERM")
    assert_equal 0, @child.status, @child.log
  end

  [[], %w[--processes 2]].each do |arguments|
    define_method("test_signals_reach_process_1_with_#{arguments.last || 1}_processes") do
      start(*arguments)
      assert_match(/^ +pid +1;/, @child.log)
      signal("USR2")
      @child.await_line(/restart: the init process of a container \(pid 1\) cannot be replaced/)
      assert_equal "up", get("/")
      stop
    end
  end

  def test_a_master_as_process_1_waits_for_what_others_have_left
    start("--processes", "2")
    gate = File.join(directory, "gate")
    members = children_of(@kino)
    get("/sh?#{URI.encode_www_form_component("(until [ -e #{gate} ]; do sleep 0.01; done) >/dev/null &")}")
    left = nil
    eventually("the master is the parent") { (left = children_of(@kino) - members).any? }
    File.write(gate, "")
    eventually("it is gone") { (children_of(@kino) & left).empty? }
    assert_equal members, children_of(@kino), @child.log
    kill([members.last])
    @child.await_line(/ ended with signal 9 \(KILL\); it is replaced/)
    assert_equal "up", get("/")
    stop
  end

  def test_several_processes_say_that_they_need_a_directory_for_temporary_files
    full = ["sh", "-c", 'mount -t tmpfs -o ro none /tmp && exec "$@"', "sh", *kino, "--processes", "2"]
    # Dir.tmpdir falls back to the working directory. In /proc, no directory can be created.
    @child = Child.new([*NAMESPACES, *full, File.join(__dir__, "support/counting.ru")], chdir: "/proc", env: { "TMPDIR" => nil })
    @child.read_to_end
    assert_equal 1, @child.status
    assert_match(/^kino: several processes need a directory for temporary files, and none can be written to \(.*\): set TMPDIR/, @child.log)
    refute_match(/\.rb:\d+/, @child.log)
  end
end
