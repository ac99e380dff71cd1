# SPDX-License-Identifier: MIT
#
# kino_add_extension(name SOURCES file... [LIBRARIES target...]) builds a Ruby extension from C++.
#
# The Ruby is ${KINO_RUBY}: by default $RUBY, or the first `ruby` on PATH. Its settings come from its own RbConfig,
# because CMake's FindRuby mixes several Rubies on one machine. They are cached, and read again if KINO_RUBY
# changes, or if that Ruby or this file has been replaced.

# Defines kino::ruby, Ruby's headers.
function(kino_find_ruby)
  if(TARGET kino::ruby)
    return()
  endif()

  # If the requested Ruby is missing, building for another one would be a surprise.
  if(DEFINED ENV{RUBY} AND NOT "$ENV{RUBY}" STREQUAL "" AND NOT KINO_RUBY)
    find_program(KINO_RUBY NAMES "$ENV{RUBY}" DOC "The Ruby to build extensions for")
    if(NOT KINO_RUBY)
      message(FATAL_ERROR "kino: RUBY is '$ENV{RUBY}', which does not exist. Correct it or unset it.")
    endif()
  endif()
  find_program(KINO_RUBY NAMES ruby DOC "The Ruby to build extensions for")
  if(NOT KINO_RUBY)
    message(FATAL_ERROR "kino: no ruby on PATH. Install it (Debian: ruby-dev), or set KINO_RUBY.")
  endif()
  if(NOT IS_ABSOLUTE "${KINO_RUBY}" OR NOT EXISTS "${KINO_RUBY}" OR IS_DIRECTORY "${KINO_RUBY}")
    message(FATAL_ERROR "kino: KINO_RUBY is '${KINO_RUBY}', which is not the path of a ruby. Correct it: -DKINO_RUBY=PATH.")
  endif()

  file(TIMESTAMP "${KINO_RUBY}" ruby_changed "%s")
  file(TIMESTAMP "${CMAKE_CURRENT_FUNCTION_LIST_FILE}" list_changed "%s")
  set(key "${KINO_RUBY} ${ruby_changed} ${list_changed}")
  if(NOT KINO_RUBY_SETTINGS_OF STREQUAL key)
    execute_process(
      COMMAND "${KINO_RUBY}" --disable=gems -rrbconfig -e
        "puts RbConfig::CONFIG.values_at(*%w[rubyhdrdir rubyarchhdrdir DLEXT ruby_version arch])"
      OUTPUT_VARIABLE settings
      ERROR_VARIABLE error
      OUTPUT_STRIP_TRAILING_WHITESPACE
      RESULT_VARIABLE result)
    string(REPLACE "\n" ";" settings "${settings}")
    list(LENGTH settings count)
    if(NOT result EQUAL 0 OR NOT count EQUAL 5)
      message(FATAL_ERROR
        "kino: KINO_RUBY is '${KINO_RUBY}', which does not run as a Ruby (${result}). Correct it: -DKINO_RUBY=PATH.\n${error}")
    endif()
    foreach(name IN ITEMS HEADERS ARCH_HEADERS DLEXT ABI ARCH)
      list(POP_FRONT settings value)
      set(KINO_RUBY_${name} "${value}" CACHE INTERNAL "")
    endforeach()
    if(NOT EXISTS "${KINO_RUBY_HEADERS}/ruby.h")
      message(FATAL_ERROR
        "kino: ${KINO_RUBY} has no headers (${KINO_RUBY_HEADERS}/ruby.h). Install them (Debian: ruby-dev).")
    endif()
    set(KINO_RUBY_SETTINGS_OF "${key}" CACHE INTERNAL "")
  endif()

  add_library(kino::ruby INTERFACE IMPORTED GLOBAL)
  target_include_directories(kino::ruby INTERFACE "${KINO_RUBY_HEADERS}" "${KINO_RUBY_ARCH_HEADERS}")
endfunction()

function(kino_add_extension name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "kino_add_extension(name SOURCES file... [LIBRARIES target...])")
  endif()
  kino_find_ruby()

  add_library(${name} MODULE ${arg_SOURCES})
  target_compile_features(${name} PRIVATE cxx_std_20)
  target_link_libraries(${name} PRIVATE kino::kino kino::ruby ${arg_LIBRARIES})
  # A VALUE is an integer for C++, and would become a number that it is not.
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Werror=narrowing>)
  # Ruby loads extensions with RTLD_GLOBAL: an exported symbol is visible to the next extension. Hidden visibility
  # covers our own code; the export list also covers the templates of the standard library, which are visible.
  set_target_properties(${name} PROPERTIES
    PREFIX ""
    SUFFIX ".${KINO_RUBY_DLEXT}"
    C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  if(APPLE)
    target_link_options(${name} PRIVATE LINKER:-undefined,dynamic_lookup
      LINKER:-exported_symbol,_Init_* LINKER:-exported_symbol,_ruby_abi_versio[n])
  else()
    set(exports "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/extension.exports")
    # Ruby's functions come from the process, so the linker cannot report missing ones; "now" makes the loader do so
    # at require, not at the first call. "nodelete" is needed because native threads may outlive a dlclose.
    target_link_options(${name} PRIVATE
      "LINKER:--version-script,${exports}" LINKER:-z,relro LINKER:-z,now LINKER:-z,nodelete)
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${exports}")
  endif()
endfunction()
