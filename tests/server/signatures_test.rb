# frozen_string_literal: true

require "minitest/autorun"

require "kino"
require "kino/check"
require "kino/workers/request"

# sig/kino.rbs and the comments of what programs use: both are complete, and of what there is.
class SignaturesTest < Minitest::Test
  FILE = File.expand_path("../../samples/server/sig/kino.rbs", __dir__)
  ROOT = File.expand_path("../../samples/server/lib", __dir__)
  PUBLIC = [Kino::Server, Kino::Request, Kino::Logger, Kino::Logger::Device, Kino::Logger::Formatter, Kino::Check, Kino::Check::Report,
            Kino::Error, Kino::ConfigError, Kino::AppLoadError, Kino::StartCancelled, Kino::BindError, Kino::UnshareableAppError,
            Kino::PidFileError, Kino::NativeMissingError, Kino].freeze
  # Documented by the class that they override.
  INHERITED = %i[to_s to_json to_h].freeze

  # The methods of each class in the file, by its name; those of the class itself with "self.".
  def signatures
    names = []
    File.readlines(FILE, chomp: true).each_with_object(Hash.new { |all, name| all[name] = [] }) do |line, all|
      case line
      when /\A *interface /, /\A *(?:class|module) (\S+)/ then all[names.push($1 || "interface").join("::")]
      when /\A *end\z/ then names.pop
      when /\A *def ([^\s:]+):/, /\A *attr_reader (\w+):/, /\A *alias (\S+)/ then all[names.join("::")] << $1
      end
    end
  end

  # Likewise, those of a class that are for programs.
  def methods_of(scope)
    own = scope.public_instance_methods(false).map { |name| scope.instance_method(name) }
    singleton = scope.singleton_methods(false).map { |name| scope.method(name) }
    (own + singleton).select { |method| ours?(method) && !internal?(method) }
  end

  def ours?(method)
    method.source_location.nil? ? method.owner == Kino::Request : method.source_location.first.start_with?(ROOT)
  end

  def internal?(method) = comment_of(method).any? { |line| line.include?("@api private") }

  # The lines of the comment above a method, or above an attr_reader and what stands between.
  def comment_of(method)
    return ["# native"] unless method.source_location

    file, line = method.source_location
    before = File.readlines(file, chomp: true).first(line - 1)
    before.pop while before.last&.match?(/\A *(attr_reader |alias )/)
    before.reverse.take_while { |text| text.match?(/\A *#/) }
  end

  def test_every_public_method_has_a_signature_and_every_signature_a_method
    known = signatures
    PUBLIC.each do |scope|
      actual = methods_of(scope).map { |method| method.is_a?(Method) ? "self.#{method.name}" : method.name.to_s }
      assert_equal actual.sort, (known.delete(scope.name) - ["initialize"]).uniq.sort, scope
    end
    assert_empty known.keys.grep_v(/interface/), "classes that nothing compares"
  end

  def test_every_public_method_has_a_comment
    PUBLIC.each do |scope|
      methods_of(scope).each do |method|
        next if INHERITED.include?(method.name)

        refute_empty comment_of(method), "#{scope}##{method.name} (#{method.source_location&.join(":")})"
      end
    end
  end

  def test_rbs_accepts_the_file
    begin
      require "rbs"
    rescue LoadError
      skip "the gem rbs is not installed"
    end
    loader = RBS::EnvironmentLoader.new
    loader.add(library: "logger")
    loader.add(path: Pathname(File.dirname(FILE)))
    environment = RBS::Environment.from_loader(loader).resolve_type_names
    builder = RBS::DefinitionBuilder.new(env: environment)
    signatures.each_key do |name|
      next if name.include?("interface")

      type = RBS::TypeName.new(name: name.split("::").last.to_sym, namespace: RBS::Namespace.parse("::#{name.split("::")[0...-1].join("::")}::".sub("::::", "::")))
      builder.build_singleton(type)
      builder.build_instance(type)
    end
  end
end
