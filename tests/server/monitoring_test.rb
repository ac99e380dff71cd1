# frozen_string_literal: true

require "json"
require "open3"

require_relative "support/server_test"
require_relative "support/tls"

# The dashboard and the alert rules that come with the gem: they name all metrics that a server has, and no others.
class MonitoringTest < ServerTest
  PLACE = File.expand_path("../../samples/server/monitoring", __dir__)
  DASHBOARD = JSON.parse(File.read(File.join(PLACE, "grafana_dashboard.json")))
  RULES = File.join(PLACE, "prometheus_rules.yml")
  RULES_TEST = File.join(__dir__, "support/prometheus_rules_test.yml")
  PAGE = File.expand_path("../../docs/control.md", __dir__)

  # The metrics of a server, with TLS if this build has it, and those that only several processes have.
  def families
    { **of_one_process, **of_processes, **of_newer_rubies }
  end

  # That dashboard and page describe on any Ruby.
  def of_newer_rubies = RUBY_VERSION < "3.2" ? { "kino_gvl_wait_duration_seconds" => "histogram" } : {}

  def of_processes
    File.write(File.join(directory, "config.ru"), "run ->(env) { [200, {}, []] }\n")
    control = File.join(directory, "control")
    @child = Child.kino("-m", "threaded", "-w", "1", "-t", "1", "--processes", "2", "--control-bind", "unix://#{control}", chdir: directory)
    text = Client.open(control) { |client| client.get("/metrics").body }
    @child.signal("TERM")
    assert_equal 0, @child.status
    text.scan(/^# TYPE (\S+) (\S+)$/).to_h
  end

  def of_one_process
    server = serve(Apps::Basic.new, :threaded, control_bind: "127.0.0.1:0", route_metrics: 1, tls: [Identity.new("localhost").write(directory)])
    port = server.control_urls.first[/\d+\z/].to_i
    text = Client.open(port) { |client| client.get("/metrics", headers: { "Host" => "localhost" }).body }
    text.scan(/^# TYPE (\S+) (\S+)$/).to_h
  end

  def expressions
    DASHBOARD["panels"].flat_map { |panel| (panel["targets"] || []).map { |target| target["expr"] } }
  end

  # Names of families: samples of histograms have suffixes.
  def named(text, families)
    text.scan(/kino_[a-z_]+/).map { |name| families.key?(name) ? name : name.sub(/_(bucket|sum|count)\z/, "") }.uniq.sort
  end

  def promtool(*arguments)
    skip "promtool is missing (Debian: prometheus)" unless system("command -v promtool > /dev/null")

    output, status = Open3.capture2e("promtool", *arguments, chdir: directory)
    assert_predicate status, :success?, output
  end

  # Writes a file into this test's directory.
  def write(name, text)
    File.write(path = File.join(directory, name), text)
    path
  end

  def test_the_dashboard_shows_every_metric_and_the_rules_name_only_such
    families = self.families
    assert_equal families.keys.sort, named(expressions.join("\n"), families)
    rules = File.read(RULES).lines.reject { |line| line.include?("description:") }.join
    assert_empty named(rules, families) - families.keys
    assert_equal families.keys.sort, named(File.read(PAGE), families) & families.keys, "docs/control.md describes every metric"
  end

  def test_counters_are_read_as_rates_and_gauges_as_they_are
    families.each do |name, type|
      uses = (expressions + File.readlines(RULES).grep(/expr:|rate\(/)).select { |text| text.match?(/\b#{name}(_bucket|_sum|_count)?\b/) }
      rates = uses.select { |text| text.match?(/(rate|increase)\(#{name}/) }
      assert_equal type == "gauge" ? [] : uses, rates, "#{name} is a #{type}"
    end
  end

  def test_panels_have_numbers_of_their_own_and_do_not_overlap
    panels = DASHBOARD["panels"]
    assert_equal panels.map { |panel| panel["id"] }.uniq.size, panels.size
    places = panels.flat_map do |panel|
      x, y, w, h = panel["gridPos"].values_at("x", "y", "w", "h")
      assert_operator x + w, :<=, 24
      (x...(x + w)).to_a.product((y...(y + h)).to_a)
    end
    assert_equal places.uniq.size, places.size
  end

  def test_promtool_accepts_the_rules_and_each_alert_fires_when_it_should
    promtool("check", "rules", RULES)
    promtool("test", "rules", write("test.yml", File.read(RULES_TEST).sub("RULES", RULES)))
    alerts = [RULES, RULES_TEST].map { |file| File.read(file).scan(/\bKino\w+/).uniq.sort }
    assert_equal(*alerts)
  end

  # As rules, since promtool checks the syntax of these.
  def test_promtool_accepts_the_expressions_of_the_dashboard
    rules = expressions.each_with_index.map { |text, at| { record: "r#{at}", expr: text.gsub("$__rate_interval", "5m").gsub("$instance", ".*") } }
    promtool("check", "rules", write("dashboard.yml", JSON.generate(groups: [{ name: "dashboard", rules: rules }])))
  end
end
