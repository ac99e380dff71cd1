# frozen_string_literal: true

require_relative "support/ruby_test"
require "json"

# Three gems built with kino, two of them with the same version, in one process and loaded in every order. And the exported
# and undefined symbols of every shared object.
class VersionsTest < RubyTest
  GEMS = %w[kino_one kino_two kino_next].freeze
  DIRECTORY = $LOAD_PATH.find { |path| File.exist?(File.join(path, "kino_one.#{RbConfig::CONFIG["DLEXT"]}")) }
  BUILD = File.expand_path("../../..", DIRECTORY)
  # Libraries called lib<name> are not extensions; tests preload them. Nor is kino_tls, which the server loads itself. No Ruby loads
  # other_ruby.
  TLS, EXTENSIONS = Dir.glob(File.join(BUILD, "{tests,samples}/**/*.#{RbConfig::CONFIG["DLEXT"]}"))
                       .reject { |path| File.basename(path).start_with?("lib", "other_ruby.") }
                       .partition { |path| File.basename(path, ".*") == "kino_tls" }.map(&:freeze)
  # What linkers add, and what Ruby looks for.
  OTHERS = %w[init fini edata end bss_start _bss_start ruby_abi_version].freeze

  # Each gem's report on itself, in the order of loading.
  REPORT = <<~RUBY
    require "json"
    ARGV.each { |name| require name }
    gems = ARGV.to_h { |name| [name, Versions.const_get(name.capitalize)] }
    report = gems.to_h do |name, gem|
      first = gem.next_salt
      others = (gems.values - [gem]).each { |other| 7.times { other.next_salt } }
      begin
        gem.raises { others.first.raises { nil } }
      rescue ArgumentError => e
        inner = e.message
      end
      begin
        gem.knows(others.first.make)
      rescue TypeError => e
        confused = e.message
      end
      [name, { version: gem.version, salts: gem.next_salt - first, addresses: gem.addresses,
               thrice: gem.thrice(14), inner: inner, confused: confused }]
    end
    if Process.respond_to?(:fork)
      reader, writer = IO.pipe
      gems.each_value(&:fork_count)
      Process.wait(fork { writer.write(gems.transform_values(&:fork_count).to_json); exit!(0) })
      writer.close
      report["forks"] = JSON.parse(reader.read)
    end
    puts report.to_json
  RUBY

  GEMS.permutation.each do |order|
    define_method("test_#{order.join("_")}_share_no_state") do
      report = JSON.parse(child(REPORT, *order))
      forks = report.delete("forks")
      assert_equal order, report.keys
      one, two, other = report.values_at(*GEMS)
      assert_equal one["version"], two["version"]
      refute_equal one["version"], other["version"]
      assert_equal({ "kino_one" => 1, "kino_two" => 1, "kino_next" => 1000 }, forks) if forks
      report.each do |name, values|
        assert_equal 1, values["salts"], "#{name} shares its statics"
        assert_equal 42, values["thrice"]
        assert_equal "from #{(order - [name]).first}", values["inner"]
        assert_match(/wrong argument type/, values["confused"])
      end
      addresses = report.values.flat_map { |values| values["addresses"] }
      assert_equal addresses, addresses.uniq
    end
  end

  def test_the_extensions_are_found
    names = EXTENSIONS.map { |path| File.basename(path, ".*") }
    assert_empty GEMS + %w[waits dispatching boundary strings handles] - names
  end

  # Their sources define it if Ruby's headers do not.
  GEMS.each do |name|
    define_method("test_#{name}_exports_the_version_that_rubies_under_development_ask_for") do
      path = File.join(DIRECTORY, "#{name}.#{RbConfig::CONFIG["DLEXT"]}")
      assert_includes nm(path, "--defined-only").map { |line| line.split.last.delete_prefix("_") }, "ruby_abi_version"
    end
  end

  EXTENSIONS.each do |path|
    name = File.basename(path, ".*")

    define_method("test_#{name}_exports_only_the_symbols_that_ruby_looks_up") do
      assert_equal ["Init_#{name}"], exports(path)
    end

    # Ruby's inline functions have C++ names on some versions and are not defined anywhere.
    define_method("test_#{name}_has_no_undefined_symbols_with_mangled_ruby_names") do
      missing = nm(path, "--undefined-only").map { |line| line.split.last }.grep(/\A_+Z/)
      # Not std::_Rb_tree, which is the C++ library's.
      assert_empty missing.grep(/\d(?:rb|RB|ruby|RUBY)/)
    end

    define_method("test_#{name}_loads_with_every_symbol_bound") do
      printed = child("require ARGV.fetch(0); puts 'loaded'", path, env: { "LD_BIND_NOW" => "1" })
      assert_equal "loaded\n", printed
    end
  end

  # Any other symbol could meet one of Ruby's openssl.
  def test_kino_tls_exports_one_function
    skip "kino_tls was not built" if TLS.empty?
    TLS.each { |path| assert_equal ["kino_tls_functions"], exports(path) }
  end

  private

  def exports(path)
    nm(path, "--defined-only").map { |line| line.split.last.sub(/@.*/, "").delete_prefix("_") } - OTHERS
  end

  def nm(path, which)
    printed, status = Open3.capture2e("nm", *("-D" unless RbConfig::CONFIG["host_os"].include?("darwin")), which, path)
    assert status.success?, printed
    printed.lines(chomp: true).reject(&:empty?)
  rescue Errno::ENOENT
    skip "nm is not installed"
  end
end
