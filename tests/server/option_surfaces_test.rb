# frozen_string_literal: true

require_relative "support/server_test"
require "kino/app/banner"
require "kino/config/command_line"
require "kino/config/reference"
require "kino/config/template"

# Every option of the table works in every place in which options can be set or are described.
class OptionSurfacesTest < ServerTest
  TABLE = Kino::Options::TABLE

  # Other valid values than the default, for types whose values are not numbers.
  OTHERS = {
    Kino::OptionTypes::Choice => ->(option) { option.type.range.reject { |name| name == option.default } },
    Kino::OptionTypes::Switch => ->(option) { [!option.default] },
    Kino::OptionTypes::Path => ->(_) { ["other.file"] },
    Kino::OptionTypes::Text => ->(option) { [option.example, "é -x"] },
    Kino::OptionTypes::Addresses => ->(_) { [["127.0.0.2", "[::1]:81"], ["unix:///tmp/a.sock?mode=0660"]] },
    Kino::SecretType => ->(_) { ["another-secret-123456", "@other.file"] },
    Kino::LogDestinationType => ->(_) { ["stderr"] },
    Kino::LogFormatType => ->(_) { ["json", "$status $target"] },
    Kino::NetworksType => ->(_) { [["192.0.2.1", "2001:db8::/32", "private"]] },
    Kino::ProcessesType => ->(_) { [3, :auto] },
    Kino::OptionTypes::List => ->(option) { [option.example] },
    Kino::TLSType => ->(_) { [[{ cert: "a.pem", key: "b.pem", verify: :peer, ca: "c.pem" }], [{ cert: "a.pem", key: "a.pem" }, { cert: "b.pem", key: "c.pem" }]] }
  }.freeze

  def others(option)
    range = option.type.range
    return [range.begin, range.end].reject { |value| value == option.default } if range.is_a?(Range)

    OTHERS.fetch(option.type.class) { |type| flunk "#{option.name}: OTHERS has no values of #{type}" }.call(option)
  end

  def other(option) = others(option).first

  def arguments(option, value, flag = option.long_flag)
    text = option.type.text(value)
    return [text] if option.argument?
    return [value ? flag : "--no-#{flag.delete_prefix("--")}"] if option.type.switch?

    [flag, text]
  end

  # The settings of the command.
  def command(arguments = [], env: {}, file: nil)
    line = Kino::CommandLine.new(arguments)
    Kino::Settings.new({ rackup: line.rackup, **line.flags }, given_as: "flag", env: env, file: file, table: TABLE, mistakes: line.mistakes)
  end

  def file(text)
    path = File.join(directory, "kino.rb")
    File.write(path, text)
    Kino::ConfigFile.new(path)
  end

  def source_of(option) = option.argument? ? "argument" : "flag"

  def each_option(table = TABLE)
    table.each { |option| others(option).each { |value| yield option, value } }
  end

  def test_every_row_is_complete
    TABLE.each do |option|
      assert_includes Kino::Options::GROUPS, option.group, option.name
      refute_empty option.help, option.name
      refute_match(/[.)]\z/, option.help, "#{option.name}: the help ends without a full stop") unless option.help.end_with?(")")
      refute_empty option.default_text, "#{option.name} has no text for its default"
      refute_nil option.example, "#{option.name} has no example"
    end
    assert_equal Kino::Options.names.uniq, Kino::Options.names
    flags = TABLE.filter_map(&:flag) + Kino::CommandLine::COMMANDS.filter_map(&:flag) + [Kino::CommandLine::CONFIG.flag]
    assert_equal flags.uniq, flags
    assert_equal TABLE, Kino::Options.by_group.flat_map(&:last).sort_by { |option| TABLE.index(option) }
  end

  def test_flags_set_every_option
    each_option do |option, value|
      [option.long_flag, *option.flag].each do |flag|
        settings = command(arguments(option, value, flag))
        assert_equal [value, source_of(option)], [settings[option.name], settings.source(option.name)], option.name
      end
    end
  end

  def test_variables_set_every_option
    each_option do |option, value|
      settings = command(env: { option.env => option.type.text(value) })
      assert_equal [value, option.env], [settings[option.name], settings.source(option.name)]
      assert_empty settings.remarks
    end
  end

  def test_directives_set_every_option
    each_option do |option, value|
      settings = command(file: file("\n#{option.directive(value)}\n"))
      assert_equal value, settings[option.name], option.name
      assert_match(/kino\.rb:2\z/, settings.source(option.name))
    end
  end

  def test_keywords_set_every_option_of_a_server
    each_option(Kino::Options::SERVER) do |option, value|
      settings = Kino::Server.new(Apps::Basic.new.freeze, **{ mode: :threaded, option.name => value }).settings
      assert_equal [value, "keyword"], [settings[option.name], settings.source(option.name)], option.name
    end
    TABLE.select(&:command_only?).each do |option|
      error = assert_raises(Kino::ConfigError) { Kino::Settings.new({ option.name => other(option) }) }
      assert_equal "keyword: #{option.name} is an option of the command kino, not of a server", error.message
    end
  end

  def test_a_flag_overrides_the_variable_which_overrides_the_directive_of_every_option
    TABLE.each do |option|
      flag, variable, directive = [option.example, *others(option), option.default].compact.uniq.cycle.first(3)
      set = file(option.directive(directive))
      env = { option.env => option.type.text(variable) }
      setting = ->(settings) { [settings[option.name], settings.source(option.name)] }
      assert_equal [directive, set.values[option.name].last.to_s], setting.call(command(file: set))
      assert_equal [variable, option.env], setting.call(command(env: env, file: set))
      assert_equal [flag, source_of(option)], setting.call(command(arguments(option, flag), env: env, file: set))
    end
  end

  def test_the_template_has_a_working_line_for_every_option
    text = Kino::Template.text
    lines = TABLE.map do |option|
      line = "# #{option.directive}\n"
      assert_includes text, line
      assert_includes text.gsub(/\n# /, " "), option.facts.join("; "), option.name
      line.delete_prefix("# ")
    end
    assert_empty file(text).values
    all = file(lines.join)
    assert_empty all.mistakes
    TABLE.each { |option| assert_equal option.example, all.values.fetch(option.name).first }
  end

  def test_help_and_reference_describe_every_option
    help = Kino::CommandLine.help.gsub(/\s+/, " ")
    reference = Kino::Reference.text
    TABLE.each do |option|
      assert_includes help, "(#{[option.env, *option.facts].join("; ")})"
      assert_includes help, option.help
      next if option.argument?

      switches = [option.flag, option.type.switch? ? option.long_flag.sub("--", "--[no-]") : "#{option.long_flag} #{option.metavar}"]
      assert_includes help, switches.compact.join(", ")
      assert_includes reference, "`#{option.long_flag}`"
    end
    TABLE.each do |option|
      section = reference[/^### #{option.name}\n(.*?)(?=^##|\z)/m, 1]
      assert_includes section, "`#{option.env}`"
      assert_includes section, "`#{option.directive}`"
    end
    assert_empty Kino::CommandLine.help.lines.map(&:chomp).select { |line| line.size > 80 }
  end

  def test_the_page_in_docs_is_that_of_the_table
    assert Kino::Reference.text == File.read(File.expand_path("../../docs/configuration.md", __dir__)),
           "docs/configuration.md is not that of the option table; run samples/server/update_docs"
  end

  # --- what an option does ---

  def native_settings(server)
    Kino::Native.settings(server.instance_variable_get(:@backend).__send__(:native_config, server.addresses_to_bind))
  end

  # What only Server#run reads; shutdown_test.rb and processes_test.rb show the effect.
  OF_RUNNER = %i[drain_delay process_start_timeout process_timeout].freeze

  def test_every_option_arrives_in_the_native_server_or_is_read_by_ruby
    values = Kino::Options::SERVER.to_h { |option| [option.name, other(option)] }
    values.delete(:tls)
    values[:header_timeout] = 3600.0 # within a millisecond, the request below need not arrive
    values.merge!(bind: ["127.0.0.1"], processes: 1, workers: 2, threads: 1, mode: :threaded, port: 0, pidfile: File.join(directory, "pid"), access_log: File.join(directory, "log"),
                  pubsub: "unix://#{directory}/pubsub",
                  control_bind: ["127.0.0.1:0"])
    settings = Kino::Settings.new(values)
    read = []
    settings.define_singleton_method(:[]) { |name| super(name).tap { read << name } }
    server = start_server(Apps::Basic.new.freeze, settings: settings)
    Kino::Banner.text(server)
    native = native_settings(server)
    Client.open(server.port) { |client| client.get("/") }
    server.shutdown
    Kino::Options::SERVER.each do |option|
      if option.name == :tls
        assert_equal false, native.fetch(:tls)
      elsif option.native?
        assert_equal values[option.name], native.fetch(option.name), option.name
      elsif !OF_RUNNER.include?(option.name)
        assert_includes read, option.name, "nothing reads #{option.name}"
      end
    end
  end

  def test_the_native_server_refuses_settings_that_it_does_not_know
    error = assert_raises(ArgumentError) { Kino::Native.settings({ queue_dept: 3 }) }
    assert_match(/no setting queue_dept/, error.message)
    assert_raises(ArgumentError) { Kino::Native.create({ "queue_depth" => nil, Object.new => 1 }) }
  end

  def test_the_banner_shows_every_option_with_its_source
    TABLE.each do |option|
      next if option.command_only?

      server = Kino::Server.new(Apps::Basic.new.freeze, settings: Kino::Settings.new({ option.name => other(option) }.merge(mode: :threaded) { |_, one, _| one == :ractor ? :ractor : one }))
      assert_includes Kino::Banner.text(server), "#{option.name} #{option.show(other(option))} (keyword)"
    end
  end
end
