# frozen_string_literal: true

# For the extconf.rb of a gem whose extension uses kino's headers:
#
#   require "kino/mkmf"
#   have_kino
#   create_makefile("my_gem")

require "mkmf"

# A gem's own copy of kino is found by its path, regardless of other gems named kino.
if Gem.loaded_specs["kino"] && File.file?(File.expand_path("namesake.rb", __dir__))
  require_relative "namesake"
  Kino::Namesake.refuse
end

module MakeMakefile # :nodoc:
  private

  # Prepares the Makefile of a C++ extension that includes <kino/...>, or aborts extconf.rb with the reason.
  #
  # It sets the C++ standard, kino's include directory, hidden visibility and an export list of the symbols that Ruby
  # looks for, and makes the extension depend on kino's headers. +std+ selects a later standard (23, 26).
  #
  # By default it uses the headers beside this file; --with-kino-dir=DIR names another prefix or a checkout. The
  # compiler is CXX from the environment, or else the one that Ruby was built with. Returns true.
  def have_kino(std: 20)
    headers = kino_include_directory
    kino_choose_compiler
    # Ruby's own flags for C++ may be empty, and mkmf would then compile without optimisation.
    $CXXFLAGS += " $(optflags) $(debugflags)" unless $CXXFLAGS.match?(/(?:\A|\s)-O/)
    # Narrowing: a VALUE is an integer for C++, and would be converted as a number.
    $CXXFLAGS += " #{kino_standard(std)} -Werror=narrowing -fvisibility=hidden -fvisibility-inlines-hidden -pthread"
    # As system headers, so a gem's own warning flags do not apply to them.
    $CXXFLAGS += " -isystem #{headers.quote}"
    kino_check(headers)
    kino_limit_exports
    $headers.concat(Dir[File.join(headers, "kino/**/*.hpp")].sort.map { |path| kino_prerequisite(path) })
    true
  end

  def kino_include_directory
    if (asked = with_config("kino-dir"))
      asked = File.expand_path(asked.to_s)
      tried = [File.join(asked, "include"), asked]
    else
      # In the gem this is lib/kino/mkmf.rb, in a checkout samples/server/lib/kino/mkmf.rb.
      tried = %w[../../include ../../../../include].map { |path| File.expand_path(path, __dir__) }
    end
    found = tried.find { |path| File.file?(File.join(path, "kino/version.hpp")) }
    return found if found

    kino_give_up("there are no headers of kino (kino/version.hpp) in #{tried.join(" or ")}.",
                 if asked
                   "--with-kino-dir names a directory that has include/kino: a checkout or a prefix."
                 else
                   "Reinstall the gem with `gem pristine kino`, or name a checkout with --with-kino-dir=DIR."
                 end)
  end

  def kino_choose_compiler
    # A Ruby built without a C++ compiler names none.
    compiler = [ENV["CXX"], RbConfig::CONFIG["CXX"], "c++"].find { |name| name && !name.strip.empty? }
    RbConfig.fire_update!("CXX", compiler)
    return if MakeMakefile["C++"].have_devel?

    kino_give_up("the C++ compiler `#{compiler}` cannot build an empty program.", *kino_compiler_errors,
                 "Install one (Debian: g++), or name another: CXX=clang++.")
  end

  def kino_standard(std)
    # Compilers with early support for a standard know it only by its draft name.
    drafts = { 20 => "2a", 23 => "2b", 26 => "2c" }
    flags = [std, drafts[std]].compact.map { |name| "-std=c++#{name}" }
    flags.find { |flag| MakeMakefile["C++"].try_compile("", flag) } ||
      kino_give_up("`#{RbConfig::CONFIG["CXX"]}` does not know C++#{std} (#{flags.join(", ")}).",
                   "Use a later compiler (CXX=...), or ask have_kino for an earlier standard; 20 is the least.")
  end

  def kino_check(headers)
    return if checking_for("kino in #{headers}") do
      MakeMakefile["C++"].try_compile("#include <kino/dispatch.hpp>\n", "-O0")
    end

    kino_give_up("`#{RbConfig::CONFIG["CXX"]}` cannot compile <kino/dispatch.hpp> from #{headers}:",
                 *kino_compiler_errors,
                 "kino needs g++ 12, clang 14 or later, and Ruby's headers; CXX=... names another compiler.")
  end

  # Ruby loads extensions with RTLD_GLOBAL: an exported symbol is visible to the next extension. Hidden visibility
  # covers the gem's own code; the export list also covers the templates of the standard library, which are visible.
  def kino_limit_exports
    # A pattern, because linkers refuse the plain name of a symbol that only development builds of Ruby have.
    File.write("kino.exports", "{ global: Init_*; ruby_abi_versio[n]; local: *; };\n")
    $distcleanfiles << "kino.exports"
    exports = ["-Wl,--version-script=kino.exports",
               "-Wl,-exported_symbol,_Init_*,-exported_symbol,_ruby_abi_versio[n]"]
    exports = exports.find { |flag| MakeMakefile["C++"].try_link(MAIN_DOES_NOTHING, "-shared -fPIC #{flag}") } ||
              kino_give_up("the linker takes no list of exports (#{exports.join(", ")}).",
                           "Use the linker of GNU, LLVM or Apple.")
    # "now" reports a missing function at require, not at its first call; "nodelete" is needed because native threads
    # may outlive a dlclose.
    optional = ["-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,nodelete"].select do |flag|
      MakeMakefile["C++"].try_link(MAIN_DOES_NOTHING, flag)
    end
    $DLDFLAGS += " -pthread #{[exports, *optional].join(" ")}"
  end

  # A path for use in a make rule, where quotes have no meaning.
  def kino_prerequisite(path)
    path.gsub("$", "$$$$").gsub(/[\s#%:]/) { |character| "\\#{character}" }
  end

  # The last output of the compiler in mkmf.log.
  def kino_compiler_errors
    # A command begins with its environment and is in quotes; its output follows.
    output = File.read("mkmf.log", encoding: "UTF-8").scrub.split(/^(?:\w+=\S* )*"/).last.to_s.lines.drop(1)
    output.grep(/error:|not found/).first(3).map { |line| "  #{line.strip}" }
  rescue Errno::ENOENT
    []
  end

  def kino_give_up(what, *more)
    lines = ["kino: #{what}", *more]
    lines << "Every command and what it printed: #{File.expand_path("mkmf.log")}" if File.exist?("mkmf.log")
    abort(lines.join("\n"))
  end
end
