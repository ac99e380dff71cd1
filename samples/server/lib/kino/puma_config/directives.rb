# frozen_string_literal: true

require_relative "../config/options"

module Kino
  module PumaConfig
    # What becomes of each directive of Puma's configuration files, from version 3 on. Translated ones are in
    # Translation; the others have a sentence that says why they are not needed, or what to do instead.
    module Directives
      TRANSLATED = {
        bind: "`bind`; umask and mode become `?mode=`, and `ssl://` becomes `bind \"https://...\"` and `tls`",
        clear_binds!: "the addresses before it are left out",
        port: "`port` and `bind \"0.0.0.0\"`, because kino's default address is 127.0.0.1",
        set_default_host: "the address of the ports after it",
        ssl_bind: "`bind \"https://...\"` and `tls`",
        bind_to_activated_sockets: "without `bind` and `port`, kino listens on every socket that systemd passes",
        workers: "of Rails: `processes`; else `workers`: Ractors, or groups of Threads, of one process, or `processes`, by hand",
        threads: "`threads`, the greater number; in single mode, and of Rails, as many `workers` of one Thread",
        environment: "`environment`", rackup: "`rackup`", pidfile: "`pidfile`", log_requests: "`log_requests`",
        directory: "`Dir.chdir`", tag: "`Process.setproctitle`", load: "to be translated as well",
        persistent_timeout: "`keep_alive_timeout`", first_data_timeout: "`header_timeout`", max_keep_alive: "`max_keep_alive`",
        early_hints: "`early_hints`",
        enable_keep_alives: "`max_keep_alive 1` if false", http_content_length_limit: "`max_body_size`",
        force_shutdown_after: "`shutdown_timeout`", worker_shutdown_timeout: "`shutdown_timeout`"
      }.freeze

      NO_FORK = "kino has one process unless `processes` is set, and then forks in one way only"
      IN_PLACE = "kino has no hook here"
      NOT_NEEDED = {
        preload_app!: "the app is always loaded before `processes` are forked",
        fork_worker: NO_FORK, nakayoshi_fork: NO_FORK, wait_for_less_busy_worker: NO_FORK, worker_culling_strategy: NO_FORK,
        silence_single_worker_warning: NO_FORK, silence_fork_callback_warning: NO_FORK, cluster_accept_loop_delay: NO_FORK,
        worker_check_interval: NO_FORK, before_refork: NO_FORK, on_refork: NO_FORK, after_refork: NO_FORK,
        prune_bundler: "a restart starts the whole program again, which loads its own bundle",
        extra_runtime_dependencies: "it belongs to prune_bundler, which kino does not need",
        restart_command: "a restart repeats the command with which kino was started",
        state_path: "it is for pumactl; `kino ctl` finds the server by `control_bind`, and signals work, too: TERM stops it, USR1 logs statistics, HUP opens log files and reads certificates again",
        state_permission: "it is for pumactl",
        queue_requests: "kino always collects a request before a worker gets it, so slow clients occupy no worker",
        max_fast_inline: "connections take turns", tcp_mode: "kino has only this mode",
        io_selector_backend: "native threads do the input and output", io_threads: "native threads do the input and output",
        max_io_threads: "a handler that waits frees its place for another one",
        drain_on_shutdown: "everything that was accepted is answered",
        raise_exception_on_sigterm: "after TERM, kino ends with status 0",
        mutate_stdout_and_stderr_to_sync_on_write: "a native thread writes the log",
        clean_thread_locals: "set what a request needs at its beginning",
        reaping_time: "workers exist until they are replaced", auto_trim_time: "workers exist until they are replaced",
        allow_underscore_headers: "field names with underscores are accepted where they cannot be mistaken for others",
        quiet: "kino logs no requests unless log_requests is set",
        debug: "the log has the reason of each refused request"
      }.freeze

      APP_CODE = "put what must happen before the first request at the end of config.ru"
      AT_END = "use `at_exit { ... }` in config.ru"
      PROCESS_END = "use `at_exit { ... }`: with `processes`, in kino.rb as `after_fork { at_exit { ... } }`; without, in config.ru"
      BEFORE_FORK = "with `processes`, write `before_fork { |number| ... }` in kino.rb, which runs before each fork; without, it is not needed"
      AFTER_FORK = "with `processes`, write `after_fork { |number| ... }` in kino.rb; without, connections that the app opens while it loads stay " \
                   "valid, and nothing has to be reconnected; #{APP_CODE}"
      AFTER_BOOT = "write `after_boot { ... }` in kino.rb"
      WORKER_BOOT = "write `after_worker_boot { |worker_id| ... }` in kino.rb; it runs in each worker before its first request"
      WORKER_EXIT = "`on_worker_exit { |worker_id, error| ... }` in kino.rb runs in the main Ractor after a worker has ended"
      INSTEAD = {
        before_fork: BEFORE_FORK, before_worker_fork: BEFORE_FORK, on_worker_fork: BEFORE_FORK,
        on_worker_boot: AFTER_FORK, before_worker_boot: AFTER_FORK, after_worker_boot: AFTER_FORK,
        after_worker_fork: "#{IN_PLACE}; `before_fork` runs before the next process is forked",
        worker_boot_timeout: "`process_start_timeout`, if `processes` is set",
        on_booted: AFTER_BOOT, after_booted: AFTER_BOOT,
        on_worker_shutdown: "#{IN_PLACE}; #{PROCESS_END}", before_worker_shutdown: "#{IN_PLACE}; #{PROCESS_END}",
        on_stopped: "#{IN_PLACE}; #{AT_END}", after_stopped: "#{IN_PLACE}; #{AT_END}",
        on_restart: "#{IN_PLACE}; #{AT_END}", before_restart: "#{IN_PLACE}; #{AT_END}",
        on_thread_start: WORKER_BOOT, before_thread_start: WORKER_BOOT,
        on_thread_exit: WORKER_EXIT, before_thread_exit: WORKER_EXIT,
        out_of_band: "#{IN_PLACE}; workers are busy whenever there are requests",
        activate_control_app: "set `control_bind \"unix:///path\"`, or `control_bind` and `control_token`: `kino ctl` then does what pumactl does",
        stdout_redirect: "redirect them where kino is started: `kino >>out.log 2>>err.log`, or StandardOutput=append:/path and StandardError=append:/path in systemd's unit",
        custom_logger: "kino's log goes to standard error; the app can use Kino::Logger for its own", log_formatter: "kino's log goes to standard error; `access_log_format` is for the lines of requests",
        lowlevel_error_handler: "`on_error { |error, env| ... }` in kino.rb is told of errors; for another response, rescue errors in a middleware at the top of config.ru; otherwise the client gets 500, and the backtrace is logged",
        app: "put it into config.ru: `run APP`",
        plugin: "plugins of Puma run only there; run what it starts as a process of its own",
        daemonize: "let systemd, or `nohup kino &`, run it in the background",
        idle_timeout: "kino runs until it is stopped",
        shutdown_debug: "kino names the workers that do not end, with their requests and, in mode threaded, their places in Ruby",
        worker_timeout: "`process_timeout`, if `processes` is set; `quarantine_timeout` lets another worker take the place of a stuck one; no timeout ends a handler, so give its calls timeouts of their own",
        set_remote_address: "`trusted_proxies` says whose X-Forwarded-For, or PROXY protocol header (`proxy_protocol true`), decides REMOTE_ADDR",
        rack_url_scheme: "X-Forwarded-Proto of `trusted_proxies` decides it",
        supported_http_methods: "every method except CONNECT reaches the app; refuse others there",
        fiber_per_request: "a handler runs in a Thread of a worker"
      }.freeze

      # What to do instead of some plugins.
      PLUGINS = {
        "tmp_restart" => "`kill -USR2 PID` restarts without downtime; a file is not watched",
        "solid_queue" => "run `bin/jobs` as a process of its own",
        "tailwindcss" => "run `bin/rails tailwindcss:watch` as a process of its own",
        "systemd" => "not needed: kino tells systemd what it does, if its unit has Type=notify"
      }.freeze

      # Calls that are not Puma's, and the sentence about them.
      OTHER = {
        at_exit: "it can stay as it is in config.ru",
        trap: "kino handles INT, TERM, QUIT, HUP, USR1, USR2, TTIN and TTOU itself; other signals can be trapped in config.ru",
        require: "it could not be loaded here, so what depends on it is unknown",
        **%i[exit exit! abort exec fork spawn system sleep ` gets daemon].to_h { |name| [name, "it was not executed; kino.rb may do it, before the app is loaded"] }
      }.freeze

      ALL = [TRANSLATED, NOT_NEEDED, INSTEAD].flat_map(&:keys).freeze

      def self.names = ALL

      # What becomes of the directive +name+, or nil if Puma has none.
      def self.sentence(name)
        return "its place is taken by #{TRANSLATED[name]}" if TRANSLATED.key?(name)
        return "it is not needed: #{NOT_NEEDED[name]}" if NOT_NEEDED.key?(name)

        INSTEAD[name]
      end
    end
  end
end
