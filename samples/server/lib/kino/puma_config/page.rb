# frozen_string_literal: true

require_relative "directives"

module Kino
  module PumaConfig
    # docs/migrating_from_puma.md, written from the tables of directives by samples/server/update_docs.
    module Page
      HEAD = <<~MARKDOWN
        # Moving from Puma

        <!-- Written by samples/server/update_docs from the tables of the translator; a test compares. -->

        ```sh
        kino --init --from config/puma.rb      # writes kino.rb and reports on each directive
        kino --check-config                    # checks it
        kino --check                           # can the app run in Ractors?
        kino
        ```

        `rails server -u kino` and `rackup -s kino` read kino.rb, too.

        ## What is different

        * Puma's workers are processes; those of kino are Ractors if the app can be shared between them, else groups of Threads, and
          there is one process unless `processes` says otherwise. Nothing is forked then, so nothing has to be reconnected.
        * Without Ractors, one GVL serves all handlers of a process. Give an app that computes much several: `processes :auto` is one
          per usable CPU. They work like a cluster of Puma with `preload_app!`: docs/operations.md.
        * Fast handlers need no tuning: `concurrency` of them run at once, one for each usable CPU, and one that waits makes room. The
          default number of workers suits handlers that wait; a database pool needs `workers` × `threads` connections.
        * Every request is read completely before a worker gets it; a slow client occupies none.
        * kino listens on 127.0.0.1 unless it is told otherwise.
        * A restart (USR2) is one of the whole program: the new one shares the sockets, and the old one ends when the new one is ready.

        ## Commands and signals

        | Puma | kino |
        | --- | --- |
        | `puma -C config/puma.rb` | `kino`, or `kino -C FILE` |
        | `puma -b tcp://0.0.0.0:3000`, `-p 3000` | `kino -b 0.0.0.0 -p 3000` |
        | `puma -w 2 -t 5:5` | `kino -w 2 -t 5`, or `kino --processes 2 -w 5 -t 1` |
        | `puma -e production` | `kino -e production` |
        | `pumactl stats` | `kino ctl stats`; without `processes`, `kill -USR1 PID` logs statistics |
        | TERM, INT, QUIT | the same: requests in flight are finished; a second signal ends the process at once |
        | HUP | log files are opened again, certificates are read again |
        | USR2 (restart) | a restart without downtime, and without dropped connections: docs/operations.md |
        | USR1 (phased restart) | with `processes`, replaces them one after the other, with the app that is loaded; a new release needs USR2. Without: logs statistics |
        | TTIN, TTOU (one worker more, one less) | the same in mode threaded, with several `processes`; a restart (USR2) begins with the number of kino.rb |

        ## Gems that replace workers

        Remove them: they look for Puma's or Unicorn's processes, and end what they take for one.

        | gem | kino |
        | --- | --- |
        | `puma_worker_killer` with `rolling_restart_frequency` | with `processes`, a timer that sends USR1 to the master: docs/operations.md |
        | `puma_worker_killer` with `ram` and `percent_usage` | `MemoryMax=` of systemd or the container's limit; the Ractors of a process share its memory, so none can be measured |
        | `unicorn-worker-killer` with `MaxRequests` | `max_requests` and `max_requests_jitter`; in mode threaded with `processes` |
        | `unicorn-worker-killer` with `Oom` | as for `ram` above |

        ## Directives

        | Puma | kino |
        | --- | --- |
      MARKDOWN

      def self.text
        rows = [Directives::TRANSLATED, Directives::NOT_NEEDED.transform_values { |text| "not needed: #{text}" }, Directives::INSTEAD]
        "#{HEAD}#{rows.map { |table| rows_of(table) }.join}"
      end

      # Directives with the same text are in one row.
      def self.rows_of(table)
        table.group_by(&:last).map do |text, directives|
          "| #{directives.map { |name, _| "`#{name}`" }.join(", ")} | #{text.gsub("|", "\\|")} |\n"
        end.join
      end
      private_class_method :rows_of
    end
  end
end
