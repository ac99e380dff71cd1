# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# Mistakes made in the gem that samples/new writes: each leads to a clear error of the compiler or the program, never to a
# crash, a hang or a wrong value.

require "etc"
require_relative "support/consumer_test"

class MistakesTest < ConsumerTest
  # Seconds after which a program that hangs is killed.
  LIMIT = 60
  ASK = "begin; p MyGem.ask(20); rescue => e; puts e.class, e.message; end"
  WORKER = "Thread.report_on_exception = false; worker = Thread.new { MyGem.serve { |number| %s } }"
  GVL = /\Akino: broken rule: a gvl const& is used only within the call that received it/
  BLOCKS = /\Akino: broken rule: a thread that holds the GVL must not block natively: call .* that takes `held`/

  # A mistake: pairs of [original code, replacement], and either the compiler's error, or a program to run and its output.
  # The program ends normally or by a violated precondition.
  MISTAKES = {
    # --- errors of the compiler ---
    "a method without held" => {
      change: ["static VALUE stop(kino::gvl const&, VALUE) {", "static VALUE stop(VALUE) {"],
      error: /a method must be a function VALUE\(kino::gvl const& held, VALUE self, VALUE a, \.\.\.\)/
    },
    "a method that returns a number" => {
      change: ["static VALUE ask(", "static auto ask("],
      more: [["return LONG2NUM(outcome.value());", "return outcome.value();"]],
      error: /a method returns a VALUE, and this one returns another type: .*kino::to_ruby/
    },
    "an argument that is not converted" => {
      change: ["kino::from_ruby<long>(held, number), std::move(reply)", "number, std::move(reply)"],
      error: /narrowing/
    },
    "an answer that is not converted" => {
      change: ["kino::from_ruby<long>(held, answer)", "answer"],
      error: /the answer is an unsigned long, as Ruby's VALUE is, .*kino::from_ruby/
    },
    "a request without a reply" => {
      change: ["  kino::responder<long> reply;", "  kino::responder<long> answer_to;"],
      error: /dispatchable/
    },
    "a request whose move may throw" => {
      change: ["  long number = 0;", "  long number = 0;\n  question() = default;\n  question(question&& other) : number(other.number) {}"],
      error: /dispatchable/
    },
    "an answer whose move may throw" => {
      change: ["// MyGem.ask(number)", <<~CPP],
        struct fragile { fragile() = default; fragile(fragile&&) {} };
        static void fragile_answer() { kino::make_response<fragile>().respond.answer({}); }
        // MyGem.ask(number)
      CPP
      error: /an answer must be nothrow movable/
    },
    "held is copied into a thread" => {
      change: ["[asked = std::move(asked)](std::stop_token)", "[asked = std::move(asked), held](std::stop_token)"],
      error: /deleted/
    },
    "the result of find is returned without a check" => {
      change: ["static VALUE stop(kino::gvl const&, VALUE) {\n  questions->close();\n  return Qnil;", <<~CPP],
        static VALUE stop(kino::gvl const& held, VALUE) {
          static kino::shareable_cache cache(held, 1);
          return cache.find(held, "key");
      CPP
      error: /optional/
    },
    "a native object without a name" => {
      change: ["// MyGem.ask(number)", <<~CPP],
        struct nameless {};
        static VALUE make(kino::gvl const& held) {
          return kino::native_object<nameless>::wrap(held, rb_cObject, std::make_unique<nameless>());
        }
        // MyGem.ask(number)
      CPP
      error: /a native object's class must define `static constexpr char const\* ruby_name`/
    },

    # --- errors of the program ---
    "the block raises without protect" => {
      change: ["kino::protect(held, [&] { return rb_yield(LONG2NUM(asked.number)); })", "rb_yield(LONG2NUM(asked.number))"],
      run: "#{format(WORKER, "raise IOError, 'in the block'")}; #{ASK}; begin; worker.join; rescue IOError => e; puts e.message; end",
      prints: /\ARuntimeError\nno worker answered\nin the block\n\z/
    },
    "std::exception is caught around the block" => {
      change: ["    asked.reply.answer(kino::from_ruby<long>(held, answer));", "    asked.reply.answer(kino::from_ruby<long>(held, answer));\n    } catch (std::exception const&) {}"],
      more: [["    VALUE const answer", "    try {\n    VALUE const answer"]],
      run: "#{format(WORKER, "Thread.exit")}; #{ASK}; worker.join; p worker.status",
      prints: /\ARuntimeError\nno worker answered\nfalse\n\z/
    },
    "everything is caught around the block" => {
      change: ["    asked.reply.answer(kino::from_ruby<long>(held, answer));", "    asked.reply.answer(kino::from_ruby<long>(held, answer));\n    } catch (...) {}"],
      more: [["    VALUE const answer", "    try {\n    VALUE const answer"]],
      run: "#{format(WORKER, "Thread.exit")}; #{ASK}; worker.join",
      prints: /^kino: broken rule: a ruby_error was caught and not rethrown/
    },
    "the handler does not answer" => {
      change: ["    asked.reply.answer(kino::from_ruby<long>(held, answer));", "    static_cast<void>(answer);"],
      run: "#{format(WORKER, "number")}; #{ASK}",
      prints: /\ARuntimeError\nno worker answered\n\z/
    },
    "the handler answers twice" => {
      change: ["    asked.reply.answer(kino::from_ruby<long>(held, answer));", "    asked.reply.answer(kino::from_ruby<long>(held, answer));\n    asked.reply.answer(7L);"],
      run: "#{format(WORKER, "number * 2")}; #{ASK}",
      prints: /\A40\n\z/
    },
    "the reply is kept forever" => {
      change: ["    asked.reply.answer(kino::from_ruby<long>(held, answer));", "    static kino::responder<long> kept;\n    kept = std::move(asked.reply);\n    static_cast<void>(answer);"],
      run: "require 'timeout'; #{format(WORKER, "number")}; begin; Timeout.timeout(0.2) { MyGem.ask(1) }; rescue Timeout::Error => e; puts e.class; end",
      prints: /\ATimeout::Error\n\z/
    },
    "the answer is awaited with the GVL" => {
      change: ["kino::wait(held, answer)", "answer.wait()"], run: ASK, prints: BLOCKS
    },
    "a shared answer is awaited with the GVL" => {
      change: ["  auto& outcome = kino::wait(held, answer);", "  auto shared = kino::make_shared_response<long>();\n  auto& outcome = shared.answer.wait();"],
      run: ASK, prints: BLOCKS
    },
    "the request is submitted with the GVL" => {
      change: ["  kino::native_thread asker(", "  static_cast<void>(questions->submit(question(), std::chrono::seconds(1)));\n  kino::native_thread asker("],
      run: ASK, prints: BLOCKS
    },
    "the native thread is joined with the GVL" => {
      change: ["  auto& outcome = kino::wait(held, answer);", "  asker.join();\n  auto& outcome = kino::wait(held, answer);"],
      more: [["    static_cast<void>(questions->try_submit(std::move(asked)));", "    auto ends = kino::make_response<long>();\n    asked.reply = std::move(ends.respond);\n    static_cast<void>(questions->try_submit(std::move(asked)));\n    static_cast<void>(ends.answer.wait());"]],
      run: "#{format(WORKER, "number")}; #{ASK}", prints: BLOCKS
    },
    "the native thread waits for Ruby while its method ends" => {
      change: ["    static_cast<void>(questions->try_submit(std::move(asked)));", "    auto [later, reply] = kino::make_response<long>();\n    static_cast<void>(questions->try_submit({1, std::move(reply)}));\n    static_cast<void>(questions->try_submit(std::move(asked)));\n    static_cast<void>(later.wait());"],
      more: [["  auto& outcome = kino::wait(held, answer);\n  if (!outcome.answered()) throw kino::raise(rb_eRuntimeError, \"no worker answered\");\n  return LONG2NUM(outcome.value());", "  static_cast<void>(answer);\n  return Qtrue;"]],
      run: "#{format(WORKER, "number")}; #{ASK}", prints: /\Atrue\n\z/
    },
    "the native thread calls Ruby" => {
      change: ["[asked = std::move(asked)](std::stop_token) mutable {", "[asked = std::move(asked), &held](std::stop_token) mutable {\n    kino::protect(held, [] { return rb_str_new_cstr(\"text\"); });"],
      run: ASK, prints: GVL
    },
    "the native thread assumes the GVL" => {
      change: ["[asked = std::move(asked)](std::stop_token) mutable {", "[asked = std::move(asked)](std::stop_token) mutable {\n    static_cast<void>(kino::gvl::assume());"],
      run: ASK, prints: /\Akino: broken rule: gvl::assume\(\) is for callbacks that Ruby calls/
    },
    "the native thread throws" => {
      change: ["[asked = std::move(asked)](std::stop_token) mutable {", "[asked = std::move(asked)](std::stop_token) mutable {\n    if (asked.number) throw kino::raise(rb_eIOError, \"in the thread\");"],
      run: "#{ASK}; $stderr.flush", prints: /\Akino: a native thread ended with an exception: in the thread\nRuntimeError\nno worker answered\n\z/
    },
    "Ruby is called without the GVL" => {
      change: ["  questions->close();", "  kino::without_gvl(held, [&] { kino::protect(held, [] { return rb_str_new_cstr(\"text\"); }); }, kino::uninterruptible);"],
      more: [["static VALUE stop(kino::gvl const&, VALUE)", "static VALUE stop(kino::gvl const& held, VALUE)"]],
      run: "MyGem.stop", prints: GVL
    },
    "the dispatcher is deleted while it has workers" => {
      change: ["  questions->close();", "  delete questions;"],
      run: "Ractor.new { MyGem.serve { |number| number } }; MyGem.ask(1); MyGem.stop",
      prints: /\Akino: broken rule: a dispatcher must not be destroyed before its workers have left: close it and/
    },
    "nothing stops the workers" => {
      change: ["  questions->close();", ""],
      run: "MyGem.start(2) { MyGem.serve { |number| number } }; MyGem.stop; #{ASK}", prints: /\A20\n\z/
    },
    "a thread joins twice" => {
      change: ["  questions->serve(held", "  static_cast<void>(questions->join(held));\n  questions->serve(held"],
      run: "begin; MyGem.serve { 1 }; rescue ThreadError => e; puts e.message; end", prints: /\Akino: this thread has already joined this dispatcher\n\z/
    },
    "a worker never leaves" => {
      change: ["  questions->serve(held, handle, [] { workers.serving(); });", "  static_cast<void>(handle);\n  static_cast<void>(questions->join(held));"],
      run: "65.times { Thread.new { MyGem.serve { 1 } }.join }; puts 'over'", prints: /\Aover\n\z/
    },
    "a worker takes a request after it has left" => {
      change: ["  questions->serve(held, handle, [] { workers.serving(); });", "  static_cast<void>(handle);\n  auto& self = questions->join(held);\n  questions->leave(held, self);\n  question taken;\n  static_cast<void>(questions->take(held, self, taken));"],
      run: "MyGem.serve { 1 }", prints: /\Akino: broken rule: a worker takes requests in the Ruby thread that joined/
    },
    "the worker does not call serving" => {
      change: ["[] { workers.serving(); }", "[] {}"],
      run: "require 'timeout'; begin; Timeout.timeout(15) { MyGem.start(1) { MyGem.serve { 1 } } }; rescue Timeout::Error => e; puts e.class; end",
      prints: /warning: kino: a Ractor has been starting for 5 seconds: .*ractor_starter::serving.*\nTimeout::Error\n\z/
    },
    "no slots" => {
      change: ["new kino::dispatcher<question>(held)", "new kino::dispatcher<question>(held, {.slots = 0})"],
      run: "", prints: /kino: a dispatcher needs 1 to 1048575 slots \(ArgumentError\)/
    },
    "too many slots" => {
      change: ["new kino::dispatcher<question>(held)", "new kino::dispatcher<question>(held, {.slots = static_cast<std::size_t>(-1)})"],
      run: "", prints: /kino: a dispatcher needs 1 to 1048575 slots \(ArgumentError\)/
    },
    "no capacity" => {
      change: ["new kino::dispatcher<question>(held)", "new kino::dispatcher<question>(held, {.capacity = 0})"],
      run: "", prints: /kino: a capacity must be between 1 and 2147483647 \(ArgumentError\)/
    },
    "a negative slice" => {
      change: ["new kino::dispatcher<question>(held)", "new kino::dispatcher<question>(held, {.slice = std::chrono::milliseconds(-1)})"],
      run: "", prints: /kino: a dispatcher with permits needs a slice of at least 1 ms \(ArgumentError\)/
    },
    "the value of an outcome without an answer is read" => {
      change: ["  if (!outcome.answered()) throw kino::raise(rb_eRuntimeError, \"no worker answered\");\n", ""],
      run: "MyGem.stop; MyGem.ask(1)", prints: /\Akino: broken rule: outcome::value\(\) requires an answered request/
    },
    "a moved-from receiver is awaited" => {
      change: ["  auto& outcome = kino::wait(held, answer);", "  auto const elsewhere = std::move(answer);\n  auto& outcome = kino::wait(held, answer);"],
      run: ASK, prints: /\Akino: broken rule: a receiver that was moved from/
    },
    "a method returns Qundef" => {
      change: ["  questions->close();\n  return Qnil;", "  questions->close();\n  return Qundef;"],
      run: "MyGem.stop", prints: /\Akino: broken rule: a method returns a Ruby object: this one returned Qundef/
    },
    "a class that is not an exception is raised" => {
      change: ["kino::raise(rb_eRuntimeError", "kino::raise(rb_cObject"],
      run: "MyGem.stop; #{ASK}", prints: /\ATypeError\nkino::raise needs the class of an exception, not Object \(message: no worker answered\)\n\z/
    },
    "a native object owns a thread without declaring it" => {
      change: ["static VALUE stop(kino::gvl const&, VALUE) {", <<~CPP],
        struct owner {
          static constexpr char const* ruby_name = "Owner";
          kino::native_thread thread{[](std::stop_token) {}};
        };
        static VALUE stop(kino::gvl const& held, VALUE) {
          static_cast<void>(kino::native_object<owner>::wrap(held, rb_class_new(rb_cObject), std::make_unique<owner>()));
      CPP
      run: "MyGem.stop", prints: /kino: broken rule: a native object that owns a native_thread says so: .*ruby_owns_threads = true/
    },
    "a forked child uses its parent's dispatcher" => {
      change: ["#include <kino/dispatch.hpp>", "#include <kino/dispatch.hpp>"],
      run: "pid = fork { #{ASK} }; Process.wait(pid)",
      # The native thread that submits is told, and its caller gets no answer: in any order, and nothing else.
      prints: /\A(?=(?:.+\n)*kino: .*: kino: this dispatcher was made before fork; make one in the child\n)(?=(?:.+\n)*RuntimeError\n)(?=(?:.+\n)*no worker answered\n)(?:.+\n){3}\z/
    }
  }.freeze

  once(:gem_directory) do
    ruby!(File.join(ROOT, "samples/new"), "my_gem", sandbox("my_gem"))
    sandbox("my_gem")
  end

  def source = @source ||= File.read(File.join(gem_directory, "ext/my_gem/my_gem.cpp"))

  # The flags of have_kino, without optimisation.
  once(:flags) do
    makefile = sandbox("makefile")
    FileUtils.mkdir_p(makefile)
    ruby!(File.join(gem_directory, "ext/my_gem/extconf.rb"), chdir: makefile)
    File.read(File.join(makefile, "Makefile"))[/^CXXFLAGS = (.*)/, 1].scan(/-std=\S+|-fvisibility\S+|-Werror=narrowing|-pthread|-isystem \S+/)
        .flat_map(&:split) + ["-O0", "-fPIC", *%w[rubyhdrdir rubyarchhdrdir].flat_map { |key| ["-isystem", RbConfig::CONFIG[key]] }]
  end

  # kino's headers are precompiled once for all mistakes.
  once(:headers) do
    all = sandbox("all.hpp")
    File.write(all, "#include <kino/dispatch.hpp>\n#include <kino/shareable_cache.hpp>\n")
    run!(COMPILER, *flags, "-x", "c++-header", all, "-o", "#{all}.gch")
    all
  end

  def changed(mistake)
    [mistake.fetch(:change), *mistake[:more]].inject(source) do |code, (from, to)|
      assert_includes code, from if from.is_a?(String)
      code.sub(from) { to }
    end
  end

  # [the compiler's output, whether it succeeded]
  def compile(directory, code)
    FileUtils.mkdir_p(directory)
    File.write(File.join(directory, "my_gem.cpp"), code)
    printed, status = self.class.run_command([COMPILER, *flags, "-include", headers, "-shared", "my_gem.cpp", "-o", "my_gem.so"],
                                             chdir: directory, env: { "LC_ALL" => "C" })
    [printed, status.success?]
  end

  # [output, status]
  def run_program(directory, code)
    reader, writer = IO.pipe
    pid = Process.spawn(ENVIRONMENT, RbConfig.ruby, "-W:no-experimental", "-I", directory, "-r", "my_gem", "-e", "trap('ABRT', 'SYSTEM_DEFAULT')\n$stdout.sync = true\n#{code}",
                        out: writer, err: writer, rlimit_core: 0)
    writer.close
    printed = Timeout.timeout(LIMIT) { reader.read }
    [printed, Process.wait2(pid).last]
  rescue Timeout::Error
    Process.kill(:KILL, pid)
    Process.wait(pid)
    flunk "it hangs"
  end

  def check(name, mistake)
    directory = sandbox("mistakes", name.gsub(/\W/, "_"))
    printed, compiled = compile(directory, changed(mistake))
    if mistake[:error]
      refute compiled, "it compiles"
      return assert_match(mistake[:error], printed)
    end
    assert compiled, printed
    printed, status = run_program(directory, mistake.fetch(:run))
    assert_match mistake.fetch(:prints), printed
    # Only a violated precondition ends the program with a signal.
    expected = printed.include?("kino: broken rule: ") ? [Signal.list["ABRT"]] : [nil]
    assert_includes expected, status.termsig, printed
  end

  def test_each_mistake_leads_to_its_error
    flags && headers && source
    todo = Queue.new
    MISTAKES.each { |entry| todo << entry }
    todo.close
    failures = Queue.new
    Array.new([Etc.nprocessors, 4].min) do
      Thread.new do
        while (name, mistake = todo.pop)
          begin
            check(name, mistake)
          rescue Minitest::Assertion, StandardError => e
            failures << "#{name}: #{e.message}"
          end
        end
      end
    end.each(&:join)
    assert failures.empty?, Array.new(failures.size) { failures.pop }.join("\n\n")
  end

  # Otherwise the errors could have other causes.
  def test_the_gem_works_without_a_mistake
    directory = sandbox("right")
    printed, compiled = compile(directory, source)
    assert compiled, printed
    printed, status = run_program(directory, "MyGem.start(2) { MyGem.serve { |number| number * 2 } }; p MyGem.ask(21)")
    assert status.success?, printed
    assert_equal "42\n", printed
  end
end
