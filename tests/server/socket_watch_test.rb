# frozen_string_literal: true

require_relative "support/server_test"
require "kino/listen/socket_watch"
require "kino/listen/unix_socket"

# The files of Unix sockets while the server runs: what removes them, and what the log says then.
class SocketWatchTest < ServerTest
  def path = File.join(directory, "kino.sock")

  def test_the_log_says_once_that_a_file_has_been_removed_or_replaced
    sockets = [UNIXServer.new(path), UNIXServer.new("#{path}.other")]
    watch = Kino::SocketWatch.of([path, "#{path}.other"].map { |name| Kino::UnixSocket.new(name) })
    assert_empty(logged { watch.look })
    File.rename("#{path}.other", "#{path}.renamed")
    sockets << UNIXServer.new("#{path}.other")
    said = logged { 2.times { watch.look } }
    assert_equal 1, said.scan(%r{clients cannot connect to unix://#{path}\.other any more, because its file has been removed or replaced}).size, said
    refute_includes said, "#{path} any"
    File.rename("#{path}.renamed", "#{path}.other")
    File.unlink(path)
    assert_match(%r{clients cannot connect to unix://#{path} any more}, logged { watch.look })
  ensure
    sockets.each(&:close)
  end

  def test_a_file_is_kept_from_becoming_old_unless_it_is_another_one
    socket = UNIXServer.new(path)
    file = Kino::UnixSocket.new(path)
    File.utime(0, 0, path)
    file.freshen
    assert_operator File.mtime(path).to_i, :>, 0
    File.rename(path, "#{path}.renamed")
    File.write(path, "")
    File.utime(0, 0, path)
    file.freshen
    assert_equal 0, File.mtime(path).to_i
  ensure
    socket&.close
  end

  test "the sockets of a server and of its control plane are watched until it ends" do |mode|
    server = serve(Apps::Basic.new, mode, bind: "unix://#{path}", control_bind: "unix://#{path}.control")
    assert_equal 1, watchers
    server.shutdown
    assert_equal 0, watchers
    serve(Apps::Basic.new, mode)
    assert_equal 0, watchers
  end

  def watchers = Thread.list.count { |one| one.name == "kino sockets" }

  def test_the_master_of_several_processes_watches_them
    File.write(File.join(directory, "config.ru"), "run ->(_) { [200, {}, []] }\n")
    File.write(File.join(directory, "kino.rb"), <<~RUBY)
      require "kino/listen/socket_watch"
      Kino::SocketWatch.__send__(:remove_const, :SECONDS)
      Kino::SocketWatch::SECONDS = 0.05
    RUBY
    @child = Child.kino("--processes", "2", "-m", "threaded", "-w", "1", "-b", "127.0.0.1:0", "-b", "unix://#{path}", chdir: directory)
    File.unlink(path)
    @child.await_line(%r{clients cannot connect to unix://#{path} any more})
  end
end
