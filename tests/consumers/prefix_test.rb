# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# The installed prefix, before and after it was moved, used through CMake and pkg-config; and the sources as part of
# another project.

require_relative "support/consumer_test"

class PrefixTest < ConsumerTest
  once(:installed) do
    sandbox("installed").tap { |prefix| install(prefix) }
  end

  once(:moved) do
    install(sandbox("first"))
    FileUtils.mv(sandbox("first"), sandbox("second"))
    sandbox("second")
  end

  def install(prefix)
    run!(CMAKE, "--install", BUILD, "--prefix", prefix)
  end

  %w[installed moved].each do |state|
    define_method("test_find_package_finds_the_library_without_ruby_in_the_#{state}_prefix") do
      build = cmake!(project("core", copy_as: "core-#{state}"), "-DCMAKE_PREFIX_PATH=#{__send__(state)}")
      assert_equal "#{EXPECTED}36\n", run!(File.join(build, "core"))
    end

    define_method("test_find_package_provides_kino_add_extension_in_the_#{state}_prefix") do
      assert_runs cmake!(project("extension", copy_as: "extension-#{state}"), "-DCMAKE_PREFIX_PATH=#{__send__(state)}")
    end

    define_method("test_pkg_config_finds_the_library_in_the_#{state}_prefix") do
      env = { "PKG_CONFIG_PATH" => File.join(__send__(state), "share/pkgconfig") }
      flags = run!("pkg-config", "--cflags", "--libs", "kino", env: env).split
      assert_includes flags, "-I#{File.join(__send__(state), "share/pkgconfig/../../include")}"
      assert_equal VERSION, run!("pkg-config", "--modversion", "kino", env: env).chomp
      run!(COMPILER, "-std=c++20", File.join(HERE, "core/core.cpp"), "-o", sandbox("core-#{state}-pc"), *flags)
      assert_equal "#{EXPECTED}36\n", run!(sandbox("core-#{state}-pc"))
    end

    define_method("test_pkg_config_has_the_flags_of_an_extension_in_the_#{state}_prefix") do
      env = { "PKG_CONFIG_PATH" => File.join(__send__(state), "share/pkgconfig") }
      flags = %w[--cflags --libs].map { |kind| run!("pkg-config", kind, "kino-extension", env: env).split }
      ruby = RbConfig::CONFIG.values_at("rubyhdrdir", "rubyarchhdrdir").map { |path| "-I#{path}" }
      directory = sandbox("extension-#{state}-pc")
      FileUtils.mkdir_p(directory)
      run!(COMPILER, "-shared", *flags[0], *ruby, File.join(HERE, "extension/consumer.cpp"),
           "-o", File.join(directory, "consumer.#{RbConfig::CONFIG["DLEXT"]}"), *flags[1])
      assert_runs directory
    end
  end

  def test_the_prefix_contains_no_other_path
    Dir.glob("**/*", base: moved).each do |path|
      file = File.join(moved, path)
      next unless File.file?(file)

      [ROOT, sandbox("first")].each do |place|
        refute_match(%r|(?<![\w./}-])#{Regexp.escape(place)}/|, File.read(file), path)
      end
    end
  end

  def test_another_minor_version_is_refused
    source = project("core", copy_as: "core-newer")
    list = File.join(source, "CMakeLists.txt")
    File.write(list, File.read(list).sub("kino 0.1", "kino 99.1"))
    output = fail!(CMAKE, "-S", source, "-B", "#{source}-build", "-DCMAKE_PREFIX_PATH=#{installed}")
    assert_match(/99\.1.*#{Regexp.escape(VERSION)}/m, output)
  end

  # No other Ruby is used instead.
  def test_an_invalid_ruby_is_reported_with_its_path
    source = project("extension", copy_as: "extension-wrong-ruby")
    refuse = lambda do |*options, env: {}|
      fail!(CMAKE, "-S", source, "-B", sandbox("wrong-ruby"), "--fresh", "-DCMAKE_PREFIX_PATH=#{installed}", *options, env: env)
        .gsub(/\s+/, " ")
    end
    assert_includes refuse.call(env: { "RUBY" => "/typo" }), "kino: RUBY is '/typo', which does not exist. Correct it or unset it."
    ["/typo", "typo", sandbox].each do |path|
      assert_match(/kino: KINO_RUBY is '\S*#{Regexp.escape(path)}', which is not the path of a ruby\./, refuse.call("-DKINO_RUBY=#{path}"))
    end
    %w[/bin/false /bin/echo].each do |path|
      assert_match(/kino: KINO_RUBY is '#{path}', which does not run as a Ruby \(\d+\)\./, refuse.call("-DKINO_RUBY=#{path}"))
    end
  end

  def test_a_project_can_add_the_sources_with_add_subdirectory
    project("core")
    project("extension")
    build = cmake!(project("subdirectory"), "-DKINO_SOURCE_DIR=#{ROOT}")
    assert_equal "#{EXPECTED}36\n", run!(File.join(build, "core"))
    assert_runs build
    refute_path_exists File.join(build, "kino/tests"), "a project that uses kino does not configure its tests"
  end
end
