# frozen_string_literal: true

require "json"
require "yaml"

require_relative "support/server_test"

# The examples for containers in samples/server/deploy, as far as they can be checked without Docker and Kubernetes, and the
# commands in docs/operations.md.
class DeployTest < ServerTest
  DEPLOY = File.expand_path("../../samples/server/deploy", __dir__)
  PAGE = File.read(File.expand_path("../../docs/operations.md", __dir__))
  INSTRUCTIONS = %w[FROM RUN WORKDIR COPY USER ENV EXPOSE CMD].freeze

  def docker
    File.read(File.join(DEPLOY, "Dockerfile")).gsub(/^#.*\n/, "").gsub(/\\\n/, "").lines(chomp: true).reject(&:empty?)
  end

  def manifests
    YAML.load_stream(File.read(File.join(DEPLOY, "kubernetes.yaml"))).to_h { |one| [one.fetch("kind"), one] }
  end

  def pod = manifests.fetch("Deployment").dig("spec", "template", "spec")

  def container = pod.fetch("containers").first

  # KINO_* variables; a secret's value is not there.
  def env
    container.fetch("env").to_h { |one| [one.fetch("name"), one["value"] || "0123456789abcdef"] }
  end

  # The settings that the command gets from these variables; no mistake, and none without effect.
  def settings(env)
    Kino::Settings.new({}, env: env, table: Kino::Options::TABLE).tap { |all| assert_empty all.remarks }
  end

  def test_the_dockerfile_has_instructions_in_their_order
    names = docker.map { |line| line[/\A[A-Z]+(?= )/] }
    assert_empty names - INSTRUCTIONS
    assert_equal "FROM", names.first
    command = JSON.parse(docker.last.delete_prefix("CMD "))
    assert_equal %w[bundle exec kino], command
    assert_match(/\AUSER [1-9]\d*\z/, docker.grep(/\AUSER/).last, "runAsNonRoot needs a number")
    variables = docker.grep(/\AENV/).flat_map { |line| line.scan(/(\w+)=(\S+)/) }.to_h
    assert_equal ["0.0.0.0:9292"], settings(variables.slice("KINO_BIND"))[:bind]
    assert_includes docker, "EXPOSE 9292"
  end

  def test_a_pod_has_time_to_drain
    all = settings(env)
    assert_operator pod.fetch("terminationGracePeriodSeconds"), :>, all[:drain_delay] + all[:shutdown_timeout] + 10
    probe = container.fetch("readinessProbe")
    assert_operator all[:drain_delay], :>=, 2 * probe.fetch("periodSeconds") * probe.fetch("failureThreshold")
  end

  def test_ports_labels_and_volumes_fit
    all = settings(env)
    ports = container.fetch("ports").to_h { |port| port.values_at("name", "containerPort") }
    assert_equal ["0.0.0.0:#{ports.fetch("http")}"], all[:bind]
    assert_equal ["0.0.0.0:#{ports.fetch("control")}"], all[:control_bind]
    %w[startupProbe readinessProbe livenessProbe].each { |name| assert_equal "control", container.dig(name, "httpGet", "port") }
    labels = manifests.dig("Deployment", "spec", "template", "metadata", "labels")
    assert_equal labels, manifests.dig("Deployment", "spec", "selector", "matchLabels")
    assert_equal labels, manifests.dig("Service", "spec", "selector")
    assert_equal labels, manifests.dig("PodDisruptionBudget", "spec", "selector", "matchLabels")
    assert_includes ports.keys, manifests.dig("Service", "spec", "ports", 0, "targetPort")
    assert_equal pod.fetch("volumes").map { |one| one["name"] }, container.fetch("volumeMounts").map { |one| one["name"] }
  end

  def test_the_server_starts_with_these_variables_and_answers_the_probes
    chosen = env.merge("KINO_BIND" => "127.0.0.1:0", "KINO_CONTROL_BIND" => "unix://#{File.join(directory, "control")}")
    @child = Child.kino("-m", "threaded", "-w", "1", File.join(__dir__, "support/counting.ru"), env: chosen)
    %w[startupProbe readinessProbe livenessProbe].each do |name|
      path = container.dig(name, "httpGet", "path")
      assert_equal 200, Client.open(File.join(directory, "control")) { |client| client.get(path).status }, path
    end
    assert_equal 401, Client.open(File.join(directory, "control")) { |client| client.get("/stats").status }
  end

  # https://kubernetes.io/docs/concepts/security/pod-security-standards/
  def test_a_pod_fits_the_restricted_policy
    assert_equal({ "runAsNonRoot" => true, "readOnlyRootFilesystem" => true, "allowPrivilegeEscalation" => false,
                   "capabilities" => { "drop" => ["ALL"] }, "seccompProfile" => { "type" => "RuntimeDefault" } }, container.fetch("securityContext"))
  end

  def test_the_page_names_the_files_and_options_that_there_are
    named = PAGE.scan(%r{samples/server/deploy/([\w.]+)}).flatten.uniq
    assert_equal Dir.children(DEPLOY).sort, named.sort
    options = PAGE.scan(/^ {4}(\w+) .*$/).flatten & PAGE.scan(/^ {4}# kino\.rb\n((?: {4}.*\n)+)/).join.scan(/^ {4}(\w+)/).flatten
    refute_empty options
    assert_empty options - Kino::Options.names.map(&:to_s)
  end

  def test_the_directives_of_the_page_are_accepted
    blocks = PAGE.scan(/^ {4}# kino\.rb\n((?: {4}.*\n)+)/).flatten
    refute_empty blocks
    blocks.each do |text|
      path = File.join(directory, "kino.rb")
      File.write(path, text.gsub(/^ {4}/, ""))
      assert_empty Kino::ConfigFile.new(path).mistakes, text
    end
  end
end
