# frozen_string_literal: true

# SPDX-License-Identifier: MIT

require_relative "gem_home"

# Tests common to both gems, after `gem install`.
module InstalledGem
  # The command, without a compiler on PATH.
  def kino(*arguments)
    [{ **ConsumerTest::ENVIRONMENT, **gems, "PATH" => "/nowhere" }, RbConfig.ruby, "-W:no-experimental",
     File.join(gems["GEM_HOME"], "bin/kino"), *arguments]
  end

  def test_the_command_prints_its_version
    output, status = Open3.capture2e(*kino("--version"), chdir: sandbox)
    assert_equal ["kino #{ConsumerTest::VERSION} (ruby #{RUBY_VERSION})\n", 0], [output, status.exitstatus]
  end

  def test_the_server_serves_a_request
    reader, writer = IO.pipe
    pid = Process.spawn(*kino("-p", "0", File.join(installed, "examples/which_ractor.ru")),
                        chdir: sandbox, out: writer, err: writer)
    writer.close
    log = +""
    Timeout.timeout(60) { log << reader.readpartial(4096) until log =~ %r{listening (http://127\.0\.0\.1:\d+)\n} }
    assert_match(/answered by/, Net::HTTP.get(URI($1)))
    Process.kill("TERM", pid)
    Timeout.timeout(60) { log << reader.read }
    assert_equal 0, Process.wait2(pid).last.exitstatus, log
    pid = nil
  rescue EOFError
    flunk "the server ended and logged:\n#{log}"
  ensure
    Process.kill("KILL", pid) && Process.wait(pid) if pid
    reader.close
  end

  def test_links_of_its_pages_lead_to_files_of_the_gem
    pages = [File.join(installed, "README.md"), *Dir[File.join(installed, "docs/*.md")]]
    assert_includes pages, File.join(installed, "docs/operations.md")
    links = pages.flat_map { |page| File.read(page, encoding: "utf-8").scan(/\]\(([^)\s#]+)/).flatten.grep_v(/\A\w+:/).map { |target| File.join(File.dirname(page), target) } }
    refute_empty links
    assert_empty links.reject { |path| File.exist?(path) }
  end

  def test_only_files_of_the_gem_are_loaded
    loaded = ruby!("-e", 'require "kino"; puts $LOADED_FEATURES.grep(/kino/)', env: gems).lines.map(&:chomp)
    refute_empty loaded.grep(/kino_native/)
    assert_empty loaded.reject { |path| path.start_with?(gems["GEM_HOME"]) }
  end

  def test_the_extension_exports_only_its_entry_point
    assert_exports_only_init File.join(installed, "lib/kino_native.#{RbConfig::CONFIG["DLEXT"]}")
  end

  def test_the_licences_of_bundled_dependencies_are_included
    with_tls = File.exist?(File.join(installed, "lib/kino_boringssl")) ? %w[boringssl.txt] : []
    with_http2 = File.exist?(File.join(installed, "lib/kino_nghttp2")) ? %w[nghttp2.txt] : []
    with_websockets = File.exist?(File.join(installed, "lib/kino_wslay")) ? %w[wslay.txt] : []
    expected = with_tls + with_http2 + with_websockets + %w[asio.txt concurrentqueue.txt llhttp.txt]
    assert_equal expected.sort, Dir.children(File.join(installed, "licenses")).sort
    assert_path_exists File.join(installed, "LICENSE")
  end

  def test_a_gem_with_an_extconf_can_use_it
    directory = sandbox("hello_ractor")
    FileUtils.cp_r(File.join(ConsumerTest::ROOT, "samples/hello_ractor"), directory)
    gem!("build", "hello_ractor.gemspec", chdir: directory, env: gems)
    gem!("install", "--local", "--no-document", "hello_ractor-0.1.0.gem", chdir: directory, env: gems)
    assert_equal File.read(File.join(directory, "expected.txt")),
                 ruby!(File.join(directory, "run.rb"), env: gems)
    built = Dir[File.join(gems["GEM_HOME"], "gems/hello_ractor-0.1.0/**/hello_ractor.#{RbConfig::CONFIG["DLEXT"]}")]
    refute_empty built
    built.each { |library| assert_exports_only_init(library) }
  end

  # Including the queue's header, although there may be another one on this machine.
  def test_an_extconf_uses_the_headers_of_the_gem
    directory = project("extension", copy_as: "extconf")
    ruby!("extconf.rb", chdir: directory, env: gems)
    flags = run!("make", "-n", chdir: directory)[/ -isystem (\S+)/, 1]
    assert_equal File.realpath(File.join(installed, "include")), File.realpath(flags)
    assert_path_exists File.join(flags, "concurrentqueue/moodycamel/concurrentqueue.h")
    run!("make", chdir: directory)
    assert_runs directory
  end

  def test_a_cmake_project_uses_the_headers_of_the_gem
    directory = project("extension", copy_as: "cmake")
    build = cmake!(directory, "-DCMAKE_PREFIX_PATH=#{installed}")
    assert_runs build
    # The dependencies that the compiler recorded, in the format of cmake's default generator.
    used = File.exist?(File.join(build, "build.ninja")) ? run!("ninja", "-C", build, "-t", "deps") : nil
    used ||= Dir[File.join(build, "**/*.d")].map { |file| File.read(file) }.join(" ")
    queues = used.scan(%r{\S+/concurrentqueue\.h\b}).map { |path| File.expand_path(path, build) }.uniq
    assert_equal [File.join(installed, "include/concurrentqueue/moodycamel/concurrentqueue.h")], queues
  end

  def test_a_gem_whose_extension_cmake_builds_can_use_it
    directory = project("cmake_gem")
    FileUtils.cp(File.join(ConsumerTest::HERE, "extension/consumer.cpp"), File.join(directory, "ext"))
    gem!("build", "consumer.gemspec", chdir: directory, env: gems)
    gem!("install", "--local", "--no-document", "consumer-0.1.0.gem", chdir: directory, env: gems)
    assert_equal "#{ConsumerTest::EXPECTED}42\n", ruby!(File.join(ConsumerTest::HERE, "extension/run.rb"), env: gems)
  end
end
