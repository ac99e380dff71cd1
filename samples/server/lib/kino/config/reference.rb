# frozen_string_literal: true

require_relative "command_line"
require_relative "options"

module Kino
  # docs/configuration.md, written from the option table by samples/server/update_docs.
  module Reference
    HEAD = <<~MARKDOWN
      # Configuration

      <!-- Written by samples/server/update_docs from the option table; a test compares. -->

      Every option of the server has one name for all places in which it can be set:

      | place | example |
      | --- | --- |
      | flag of the command `kino` | `--queue-depth 64` |
      | keyword of `Kino::Server.new` and `Kino::Server.run` | `queue_depth: 64` |
      | option of `rackup -s kino` | `-O QueueDepth=64` |
      | environment | `KINO_QUEUE_DEPTH=64` |
      | configuration file | `queue_depth 64` |

      Flags and keywords override the environment, which overrides the configuration file, which overrides defaults. The banner
      shows the source of each setting that is not a default. `Kino::Server.new` reads no configuration file. At the start, the
      server logs `KINO_*` variables that it does not know.

      ## The configuration file

      It is Ruby, with one method per option: `kino.rb`, else `config/kino.rb` in the current directory, or the file after `--config`.

      ```sh
      kino --init                            # writes a kino.rb with every option, commented out
      kino --check-config                    # checks flags, environment and file, and shows the effective settings
      ```

      `kino --check-config` starts no server and does not load the app. Its status is 1 if there is a mistake. Mistakes show their
      place, the line, and what is probably meant; all of them are shown at once. So are mistakes in what a value names: a file that cannot be
      read or written, an unknown user.

      ```
      kino.rb:2: unknown option wokers; did you mean workers?
          2 | wokers 8
            | ^^^^^^
      ```

      ## From Puma

      ```sh
      kino --init --from config/puma.rb      # writes kino.rb
      ```

      This evaluates the file in a child process, with the environment of the command, and says line by line what became of each
      directive: what it is called here, that it is not needed, or what to do instead. Arguments that read the environment stay
      as they are written. The report is also in kino.rb, as comments. [Moving from Puma](migrating_from_puma.md) lists all directives.

      ## Completion

      The completion of flags and their values, for bash and zsh:

      ```sh
      source <(kino --completion bash)       # in ~/.bashrc
      source <(kino --completion zsh)        # in ~/.zshrc, after compinit
      ```

      ## Values

      * Times are in seconds, or a text with a unit: `"500ms"`, `"30s"`, `"5m"`, `"1h"`, `"1d"`.
      * Sizes are in bytes, or a text with a unit: `"64k"`, `"50m"`, `"1g"`; k is 1024. Rates are sizes per second.
      * A flag that is on or off has no value: `--run-permits`, `--no-run-permits`. Its variable is `true` or `false`.
      * Options that may be repeated take several values: `bind "127.0.0.1", "[::1]"`, or one directive or flag for each. In the
        environment, commas separate them.
    MARKDOWN

    def self.text
      sections = Options.by_group.map { |title, options| "## #{title}\n\n#{options.map { |option| entry(option) }.join("\n")}" }
      "#{[HEAD, *sections].join("\n")}"
    end

    def self.entry(option)
      flags = [option.flag, option.long_flag].select { |flag| flag }.map { |flag| "`#{flag}`" }
      facts = [[*flags, "`#{option.env}`"].join(", "), option.range_text, "default #{option.default_text}"].compact
      <<~MARKDOWN
        ### #{option.name}

        #{escaped(option.help[0].upcase + option.help[1..])}.

        #{facts[0]}; #{escaped(facts.drop(1).join("; "))}. Example: `#{option.directive}`
      MARKDOWN
    end

    # No text of the table is markup.
    def self.escaped(text)
      text.gsub(/[*<\[\]]/) { |character| "\\#{character}" }
    end
    private_class_method :entry, :escaped
  end
end
