# frozen_string_literal: true

require "minitest/autorun"
require "open3"
require "timeout"
require "tmpdir"

require_relative "support/programs"
require "kino/config/completion"

# The completion scripts, as bash and zsh run them.
class CompletionTest < Minitest::Test
  LIMIT = 60
  ZSH = Programs.find("zsh")

  def setup
    @directory = Dir.mktmpdir("kino")
    File.write(File.join(@directory, "script"), "")
    ["app.ru", "other.rb", "with space.ru"].each { |name| File.write(File.join(@directory, name), "") }
    Dir.mkdir(File.join(@directory, "config"))
  end

  def teardown
    FileUtils.rm_rf(@directory)
  end

  def shell(*command)
    output, errors, status = Timeout.timeout(LIMIT) { Open3.capture3(*command, chdir: @directory) }
    assert status.success?, "#{command.first}: #{errors}"
    assert_empty errors
    output
  end

  # For each Array of words, the possible values of its last one.
  def bash(*lines)
    script = +"#{Kino::Completion.script("bash")}\n"
    lines.each do |words|
      quoted = words.map { |word| "'#{word}'" }
      script << "COMP_WORDS=(kino #{quoted.join(" ")}); COMP_CWORD=#{words.size}; _kino; printf '%s\\n' \"${COMPREPLY[@]}\" ---\n"
    end
    shell("bash", "--norc", "-c", script).split("---\n", -1)[0...-1].map { |text| text.split("\n").reject(&:empty?).sort }
  end

  def test_bash_completes_every_flag
    flags = Kino::Completion.flags.flat_map(&:names)
    assert_includes flags, "--no-run-permits"
    assert_empty Kino::Options::TABLE.filter_map(&:long_flag) - flags
    assert_equal flags.sort, bash(["-"]).first
    flags.grep(/\A--/).zip(bash(*flags.grep(/\A--/).map { |flag| [flag] })).each do |flag, found|
      assert_equal flags.select { |other| other.start_with?(flag) }.sort, found
    end
  end

  def test_bash_completes_values
    choices = Kino::Completion.flags.reject { |flag| flag.words.empty? }
    assert_operator choices.size, :>, 1
    choices.each do |flag|
      flag.names.each do |name|
        assert_equal [flag.words.sort, [flag.words.last]], bash([name, ""], [name, flag.words.last[0..-2]]), name
      end
      long = flag.names.last
      assert_equal [flag.words.sort, [flag.words.first]], bash([long, "="], [long, "=", flag.words.first])
    end
    assert_equal [[], []], bash(["--workers", ""], ["-p", "a"])
  end

  def test_bash_completes_files
    all = ["app.ru", "config", "other.rb", "script", "with space.ru"]
    assert_equal [["app.ru", "config", "ctl", "with space.ru"], ["with space.ru"], all, ["other.rb"], ["--mode"]],
                 bash([""], ["w"], ["-C", ""], ["--init", "o"], ["--init", "--mod"])
  end

  def test_bash_completes_the_commands_of_ctl
    verbs = Kino::ControlVerbs::VERBS.keys.sort
    flags = Kino::ControlVerbs::FLAGS.values.flat_map(&:names).sort
    files = ["app.ru", "config", "other.rb", "script", "with space.ru"]
    assert_equal [["ctl"], verbs, ["stats", "stop"], flags, files, ["other.rb"], [], verbs, Kino::LOG_LEVELS.sort, ["warn"]],
                 bash(["ct"], ["ctl", ""], ["ctl", "st"], ["ctl", "-"], ["ctl", "--pidfile", ""], ["ctl", "-C", "o"], ["ctl", "--control", ""],
                      ["ctl", "--json", ""], ["ctl", "log-level", ""], ["ctl", "log-level", "w"])
    # Only as the first argument.
    assert_equal [[]], bash(["-q", "ctl"])
  end

  def test_zsh_completes_flags_values_and_files
    skip "zsh is not installed" unless ZSH

    File.write(File.join(@directory, "script"), Kino::Completion.script("zsh"))
    expected = {
      "kino --mod" => "kino --mode=", "kino --mode=thr" => "kino --mode=threaded ", "kino -m thr" => "kino -m threaded ",
      "kino --no-run" => "kino --no-run-permits ", "kino --check-c" => "kino --check-config ", "kino --check-p" => "kino --check-path=", "kino --completion z" => "kino --completion zsh ",
      "kino a" => "kino app.ru ", "kino -C oth" => "kino -C other.rb ",
      "kino ct" => "kino ctl ", "kino ctl rel" => "kino ctl reload ", "kino ctl log-level de" => "kino ctl log-level debug ",
      "kino ctl --pidf" => "kino ctl --pidfile=", "kino ctl --pidfile oth" => "kino ctl --pidfile other.rb ",
      "kino ctl --json wor" => "kino ctl --json workers "
    }
    output = shell("zsh", "-f", File.expand_path("support/zsh_completion.zsh", __dir__), "script", *expected.keys)
    assert_equal expected.values, output.split("\n")
  end

  def test_zsh_gets_every_flag_with_its_description
    skip "zsh is not installed" unless ZSH

    # _arguments prints what it is called with.
    script = "compdef() { }; #{Kino::Completion.script("zsh")}\n_arguments() { print -rl -- \"$@\" }\n_kino"
    specs = shell("zsh", "-f", "-c", script).lines.map(&:chomp)
    check_zsh_specs(specs, Kino::Completion.flags)
    check_zsh_specs(shell("zsh", "-f", "-c", "#{script}_ctl").lines.map(&:chomp), Kino::Completion.ctl_flags)
  end

  def check_zsh_specs(specs, flags)
    flags.each do |flag|
      flag.names.each do |name|
        spec = specs.select { |one| one.match?(/\A(\*|\(.*\))#{name}[=+]?\[\S.*\](:|\z)/) }
        assert_equal 1, spec.size, name
        assert_match(/\((\w+ )*#{flag.words.last}\)\z/, spec.first) unless flag.words.empty?
      end
    end
  end
end
