# frozen_string_literal: true

require_relative "../control/verbs"
require_relative "command_line"
require_relative "options"

module Kino
  # The completion scripts of `kino --completion`: flags, the values of those with a few, and names of files; and the same for
  # `kino ctl`, with its commands.
  module Completion
    # +words+: possible values; +file+: whether a value is a file; +takes+: the name of the value, nil for none.
    Flag = Struct.new(:names, :help, :takes, :words, :file, :optional, :repeatable, keyword_init: true)

    HELP_WIDTH = 60

    def self.script(shell) = shell == "bash" ? bash : zsh

    def self.flags
      options = Options::TABLE.reject(&:argument?).map do |option|
        switch = option.type.switch?
        names = [option.flag, option.long_flag, *("--no-#{option.long_flag.delete_prefix("--")}" if switch)].compact
        Flag.new(names: names, help: option.help, takes: switch ? nil : option.metavar, words: switch ? [] : option.type.words,
                 file: option.type.file?, repeatable: option.repeatable?)
      end
      options + CommandLine::OTHERS.map do |command|
        Flag.new(names: [command.flag, command.long_flag].compact, help: command.help, takes: command.argument&.delete("[]"),
                 words: command.words || [], file: %w[FILE PATH].include?(command.argument&.delete("[]")),
                 optional: command.argument&.start_with?("["))
      end
    end

    # Those of `kino ctl`.
    def self.ctl_flags
      ControlVerbs::FLAGS.values.map { |flag| Flag.new(names: flag.names, help: flag.help, takes: flag.takes, words: [], file: flag.file) }
    end

    # The arguments of its commands: [command, possible values].
    def self.ctl_arguments = ControlVerbs::VERBS.filter_map { |name, verb| [name, verb.argument] if verb.argument }

    def self.bash_cases(flags)
      values = flags.select(&:takes).group_by { |flag| bash_values(flag) }
      values.map { |statements, all| "    #{all.flat_map(&:names).join(" | ")}) #{statements} ;;" }
    end

    def self.bash
      cases = bash_cases(flags)
      arguments = ctl_arguments.map { |name, words| "    #{name}) #{bash_words(words)} ;;" }
      <<~BASH
        # Completion of kino for bash, written by `kino --completion bash`.
        _kino() {
          local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
          # bash takes the = of --flag=value for a word.
          if [[ $current == = ]]; then
            current=
          elif [[ $previous == = ]]; then
            previous=${COMP_WORDS[COMP_CWORD - 2]}
          fi
          COMPREPLY=()
          if (( COMP_CWORD > 1 )) && [[ ${COMP_WORDS[1]} == ctl ]]; then
            _kino_ctl
            return
          fi
          case $previous in
        #{cases.join("\n")}
          esac
          if [[ $current == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "#{flags.flat_map(&:names).join(" ")}" -- "$current")
          else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -X '!*.ru' -- "$current"; compgen -d -- "$current")
            (( COMP_CWORD > 1 )) || mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W ctl -- "$current")
          fi
        }
        _kino_ctl() {
          case $previous in
        #{[*bash_cases(ctl_flags), *arguments].join("\n")}
          esac
          if [[ $current == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "#{ctl_flags.flat_map(&:names).join(" ")}" -- "$current")
          else
            mapfile -t COMPREPLY < <(compgen -W "#{ControlVerbs::VERBS.keys.join(" ")}" -- "$current")
          fi
        }
        complete -F _kino kino
      BASH
    end

    # The value may be left out if it is optional.
    def self.bash_values(flag)
      return bash_words(flag.words) unless flag.words.empty?
      return "return" unless flag.file

      files = %(compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return)
      flag.optional ? "[[ $current == -* ]] || { #{files}; }" : files
    end

    def self.bash_words(words) = %(mapfile -t COMPREPLY < <(compgen -W "#{words.join(" ")}" -- "$current"); return)

    def self.zsh_specs(flags)
      specs = flags.flat_map { |flag| flag.takes ? [zsh_spec(flag, flag.names)] : flag.names.map { |name| zsh_spec(flag, [name]) } }
      specs.map { |spec| "    #{spec} \\" }.join("\n")
    end

    def self.zsh
      verbs = ControlVerbs::VERBS.map { |name, verb| "'#{name}:#{zsh_text(summary(verb.help))}'" }
      arguments = ctl_arguments.map { |name, words| "    #{name}) compadd #{words.join(" ")} ;;" }
      <<~ZSH
        #compdef kino
        # Completion of kino for zsh, written by `kino --completion zsh`.
        _kino() {
          if (( CURRENT > 2 )) && [[ ${words[2]} == ctl ]]; then
            shift words
            (( CURRENT-- ))
            _kino_ctl
            return
          fi
          _arguments -s -S \\
        #{zsh_specs(flags)}
            '*:rackup file:_kino_argument'
        }
        _kino_argument() {
          (( CURRENT > 2 )) || compadd ctl
          _files -g "*.ru"
        }
        _kino_ctl() {
          _arguments -s -S \\
        #{zsh_specs(ctl_flags)}
            '1:command:_kino_ctl_commands' \\
            '2:argument:_kino_ctl_argument'
        }
        _kino_ctl_commands() {
          local -a commands=(#{verbs.join(" ")})
          _describe command commands
        }
        _kino_ctl_argument() {
          case ${words[CURRENT - 1]} in
        #{arguments.join("\n")}
          esac
        }
        if [[ ${funcstack[1]} == _kino ]]; then
          _kino "$@"
        else
          compdef _kino kino
        fi
      ZSH
    end

    # As in '(-m --mode)'{-m+,--mode=}'[help]:NAME:(auto ractor)'.
    def self.zsh_spec(flag, names)
      written = names.map { |name| "#{name}#{(name.start_with?("--") ? "=" : "+") if flag.takes && !flag.optional}" }
      exclusive = flag.repeatable ? "'*'" : "'(#{names.join(" ")})'"
      value = "#{":" if flag.optional}:#{zsh_text(flag.takes)}:#{zsh_values(flag)}" if flag.takes
      "#{exclusive}#{written.size > 1 ? "{#{written.join(",")}}" : written.first}'[#{zsh_text(summary(flag.help))}]#{value}'"
    end

    def self.zsh_values(flag)
      return "(#{flag.words.join(" ")})" unless flag.words.empty?

      flag.file ? "_files" : " "
    end

    # The beginning of a help text.
    def self.summary(help)
      first = help[/\A[^;:(]+/].strip
      first.size > HELP_WIDTH ? "#{first[0, HELP_WIDTH].rpartition(" ").first} ..." : first
    end

    def self.zsh_text(text)
      text.gsub(/[\[\]:\\]/) { |character| "\\#{character}" }.gsub("'", "'\\\\''")
    end
    private_class_method :bash_cases, :bash_values, :bash_words, :zsh_specs, :zsh_spec, :zsh_values, :summary, :zsh_text
  end
end
