# frozen_string_literal: true

require "json"

require_relative "support/browser"
require_relative "support/server_test"

# A Rails application whose page talks to Action Cable and to Turbo, in a browser.
class RailsBrowserTest < ServerTest
  include Browser

  # Reports when its stream is connected, and the messages once there are two: one of another client, which comes over Action
  # Cable, and that of its own form, whose response is a Turbo Stream.
  PAGE = <<~HTML
    <!doctype html><title>kino</title>
    <meta name="action-cable-url" content="/cable">
    <%= csrf_meta_tags %>
    <%= turbo_stream_from "room" %>
    <ul id="messages"></ul>
    <%= form_with(url: "/say") { |form| form.text_field(:text, value: "own") } %>
    <script type="module">
      import "/turbo.js";
      const report = (content) => fetch("/report", { method: "POST", body: JSON.stringify(content) });
      const happens = (test) => new Promise((resolve) => {
        const look = () => test() && (observer.disconnect(), resolve());
        const observer = new MutationObserver(look);
        observer.observe(document, { attributes: true, childList: true, subtree: true });
        look();
      });
      const texts = () => [...document.querySelectorAll("li")].map((item) => item.textContent);
      addEventListener("error", (event) => report({ error: event.message }));
      await happens(() => document.querySelector("turbo-cable-stream-source[connected]"));
      await report({ connected: true });
      await happens(() => texts().length == 1);
      document.querySelector("form").requestSubmit();
      await happens(() => texts().length == 2);
      await report({ texts: texts(), path: location.pathname });
    </script>
  HTML

  def self.define_application
    const_set(:REPORTS, Queue.new)
    application = Class.new(Rails::Application) do
      config.load_defaults Rails::VERSION::STRING.to_f
      config.root = __dir__
      config.eager_load = false
      config.secret_key_base = "x" * 64
      config.logger = Logger.new(File::NULL)
      config.hosts.clear
      config.action_cable.mount_path = "/cable"
      config.action_cable.cable = { "adapter" => "async" }
    end
    const_set(:Application, application)
    application.initialize!
    ActionCable.server.config.logger = Logger.new(File::NULL)
    define_controller
    application.routes.draw do
      get "/", to: "rails_browser_test/messages#index"
      post "/say", to: "rails_browser_test/messages#say"
      post "/report", to: "rails_browser_test/messages#report"
      get "/turbo.js", to: "rails_browser_test/messages#turbo"
    end
  end

  def self.define_controller
    controller = Class.new(ActionController::Base) do
      skip_forgery_protection only: %i[report turbo]

      def index = render(inline: PAGE)
      def turbo = send_file(File.join(Gem.loaded_specs["turbo-rails"].full_gem_path, "app/assets/javascripts/turbo.js"), type: "text/javascript")
      def say = render(turbo_stream: turbo_stream.append("messages", html: helpers.tag.li(params[:text])))

      def report
        REPORTS << JSON.parse(request.body.read, symbolize_names: true)
        head :no_content
      end
    end
    const_set(:MessagesController, controller)
  end

  def setup
    super
    need_browser
    begin
      require "logger"
      require "rails"
      require "action_controller/railtie"
      require "action_view/railtie"
      require "action_cable/engine"
      require "turbo-rails"
    rescue LoadError
      skip "the gems railties, actioncable and turbo-rails are not installed"
    end
    self.class.define_application unless self.class.const_defined?(:Application)
  end

  def teardown
    super
    ActionCable.server.restart if defined?(ActionCable::Server)
  end

  def test_a_page_gets_turbo_streams_over_action_cable_and_as_responses
    server = start_server(Application, mode: :threaded, workers: 4, threads: 1)
    browse(server.url)
    assert_equal({ connected: true }, REPORTS.pop)
    Turbo::StreamsChannel.broadcast_append_to("room", target: "messages", html: "<li>of others</li>")
    assert_equal({ texts: ["of others", "own"], path: "/" }, REPORTS.pop)
    assert server.shutdown(timeout: 10)
  end
end
