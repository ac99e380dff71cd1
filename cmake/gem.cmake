# SPDX-License-Identifier: MIT
#
# The target `gem` builds two gems in ${PROJECT_BINARY_DIR}/gem:
#
#   kino-VERSION.gem            compiles the server's extension when it is installed
#   kino-VERSION-PLATFORM.gem   contains it compiled for the Ruby of this build, and those of BoringSSL, nghttp2 and
#                               wslay that were found
#
# Each is the install prefix of install.cmake together with the server, so one artefact serves mkmf, CMake and
# pkg-config. Dependencies are included, copied from this machine with their licences: the header of moodycamel's
# queue in both gems, the sources of Asio and llhttp in the first.

# kino_gem_licence(name file... PATHS directory...): finds the licence text of a dependency.
function(kino_gem_licence name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "NAMES;PATHS")
  string(TOUPPER "${name}_LICENCE" variable)
  find_file(${variable} NAMES ${arg_NAMES} LICENSE LICENSE.md LICENSE.txt copyright PATHS ${arg_PATHS}
    NO_DEFAULT_PATH DOC "The licence of ${name}")
  mark_as_advanced(${variable})
  if(${variable})
    install(FILES "${${variable}}" DESTINATION licenses RENAME ${name}.txt COMPONENT kino_gem EXCLUDE_FROM_ALL)
  else()
    string(APPEND kino_gem_lacks "\n  the licence of ${name}: set ${variable}")
    set(kino_gem_lacks "${kino_gem_lacks}" PARENT_SCOPE)
  endif()
endfunction()

set(kino_gem_lacks "")
set(kino_gem_server "${PROJECT_SOURCE_DIR}/samples/server")
set(kino_gem_directory "${PROJECT_BINARY_DIR}/gem")

# The content of both gems.
install(DIRECTORY "${kino_gem_server}/lib" "${kino_gem_server}/exe" "${kino_gem_server}/examples"
    "${kino_gem_server}/deploy" "${kino_gem_server}/monitoring" "${kino_gem_server}/sig"
  DESTINATION . USE_SOURCE_PERMISSIONS COMPONENT kino_gem EXCLUDE_FROM_ALL
  PATTERN version.rb EXCLUDE)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/CHANGELOG.md" "${kino_gem_server}/README.md"
    "${kino_gem_server}/kino.gemspec"
  DESTINATION . COMPONENT kino_gem EXCLUDE_FROM_ALL)
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/CMakeFiles/version.rb" CONTENT
"# frozen_string_literal: true

module Kino
  VERSION = \"@PROJECT_VERSION@\"
end
" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/CMakeFiles/version.rb" DESTINATION lib/kino COMPONENT kino_gem EXCLUDE_FROM_ALL)

# The queue is where the first #include of kino/detail/concurrent_queue.hpp looks, so it takes precedence over
# another release that the user has installed.
get_target_property(queue_directories concurrentqueue::concurrentqueue INTERFACE_INCLUDE_DIRECTORIES)
find_file(CONCURRENTQUEUE_HEADER
  NAMES
    concurrentqueue/moodycamel/concurrentqueue.h
    concurrentqueue/concurrentqueue.h
    moodycamel/concurrentqueue.h
    concurrentqueue.h
  PATHS ${queue_directories} NO_DEFAULT_PATH)
mark_as_advanced(CONCURRENTQUEUE_HEADER)
cmake_path(GET CONCURRENTQUEUE_HEADER PARENT_PATH queue_directory)
kino_gem_licence(concurrentqueue PATHS
  ${queue_directory} ${queue_directory}/.. ${queue_directories}
  /usr/share/doc/libconcurrentqueue-dev)
install(FILES "${CONCURRENTQUEUE_HEADER}"
  DESTINATION include/concurrentqueue/moodycamel COMPONENT kino_gem EXCLUDE_FROM_ALL)

# The content of only the source gem.
install(DIRECTORY "${kino_gem_server}/ext" DESTINATION . COMPONENT kino_gem_source EXCLUDE_FROM_ALL)
kino_gem_licence(asio NAMES LICENSE_1_0.txt PATHS
  "${ASIO_INCLUDE_DIR}" "${ASIO_INCLUDE_DIR}/.." "${ASIO_INCLUDE_DIR}/../share/doc/libasio-dev")
install(FILES "${ASIO_INCLUDE_DIR}/asio.hpp" DESTINATION vendor/asio COMPONENT kino_gem_source EXCLUDE_FROM_ALL)
install(DIRECTORY "${ASIO_INCLUDE_DIR}/asio" DESTINATION vendor/asio COMPONENT kino_gem_source EXCLUDE_FROM_ALL
  PATTERN ssl EXCLUDE)
if(LLHTTP_SOURCE_DIR)
  kino_gem_licence(llhttp NAMES LICENSE-MIT PATHS
    "${LLHTTP_SOURCE_DIR}" "${LLHTTP_SOURCE_DIR}/.." "${LLHTTP_SOURCE_DIR}/../doc/node-llhttp")
  install(
    FILES
      "${LLHTTP_INCLUDE_DIR}/llhttp.h"
      "${LLHTTP_SOURCE_DIR}/api.c"
      "${LLHTTP_SOURCE_DIR}/http.c"
      "${LLHTTP_SOURCE_DIR}/llhttp.c"
    DESTINATION vendor/llhttp COMPONENT kino_gem_source EXCLUDE_FROM_ALL)
endif()
if(LLHTTP_LIBRARY OR NOT LLHTTP_SOURCE_DIR)
  string(APPEND kino_gem_lacks
    "\n  llhttp as C sources, which the source gem contains: unpack a release of llhttp, or "
    "Debian 12's package node-llhttp, and configure with -DLLHTTP_LIBRARY= -DLLHTTP_SOURCE_DIR=(the directory of llhttp.c) "
    "-DLLHTTP_INCLUDE_DIR=(the directory of llhttp.h)")
endif()

# The content of only the native gem.
install(TARGETS kino_native LIBRARY DESTINATION lib COMPONENT kino_gem_native EXCLUDE_FROM_ALL)
# kino_gem_bundle(name package): takes the shared library NAME of this machine along, under the name by which kino_native
# asks for it.
function(kino_gem_bundle name package)
  string(TOUPPER "${name}" upper)
  file(REAL_PATH "${${upper}_LIBRARY}" library)
  if(library MATCHES "\\.so|\\.dylib")
    set(rename "")
    execute_process(COMMAND "${CMAKE_OBJDUMP}" -p "${library}" OUTPUT_VARIABLE headers ERROR_QUIET)
    if(headers MATCHES "SONAME +([^\n ]+)")
      set(rename RENAME "${CMAKE_MATCH_1}")
    endif()
    install(FILES "${library}" DESTINATION "lib/kino_${name}" ${rename} COMPONENT kino_gem_native EXCLUDE_FROM_ALL)
  endif()
  find_file(${upper}_LICENCE NAMES COPYING LICENSE copyright
    PATHS "${${upper}_INCLUDE_DIR}/../share/doc/${name}" "/usr/share/doc/${package}" NO_DEFAULT_PATH
    DOC "The licence of ${name}")
  mark_as_advanced(${upper}_LICENCE)
  if(${upper}_LICENCE)
    install(FILES "${${upper}_LICENCE}" DESTINATION licenses RENAME "${name}.txt" COMPONENT kino_gem_native EXCLUDE_FROM_ALL)
  else()
    string(APPEND kino_gem_lacks "\n  the licence of ${name}: set ${upper}_LICENCE")
    set(kino_gem_lacks "${kino_gem_lacks}" PARENT_SCOPE)
  endif()
endfunction()

if(TARGET nghttp2::nghttp2)
  kino_gem_bundle(nghttp2 libnghttp2-dev)
endif()
if(TARGET wslay::wslay)
  kino_gem_bundle(wslay libwslay-dev)
endif()
if(TARGET kino_tls)
  install(TARGETS kino_tls LIBRARY DESTINATION lib COMPONENT kino_gem_native EXCLUDE_FROM_ALL)
  # Shared libraries of BoringSSL come along; static ones are in kino_tls.
  get_target_property(boringssl_libraries boringssl::ssl KINO_LIBRARIES)
  foreach(library IN LISTS boringssl_libraries)
    file(REAL_PATH "${library}" library)
    if(library MATCHES "\\.so|\\.dylib")
      install(FILES "${library}" DESTINATION lib/kino_boringssl COMPONENT kino_gem_native EXCLUDE_FROM_ALL)
    endif()
  endforeach()
  find_file(BORINGSSL_LICENCE NAMES LICENSE copyright
    PATHS "${KINO_BORINGSSL}" /usr/share/doc/android-libboringssl NO_DEFAULT_PATH DOC "The licence of BoringSSL")
  mark_as_advanced(BORINGSSL_LICENCE)
  if(BORINGSSL_LICENCE)
    install(FILES "${BORINGSSL_LICENCE}" DESTINATION licenses RENAME boringssl.txt COMPONENT kino_gem_native
      EXCLUDE_FROM_ALL)
  else()
    string(APPEND kino_gem_lacks "\n  the licence of boringssl: set BORINGSSL_LICENCE")
  endif()
endif()

# kino-tests-gem builds what the tests of the gems need: nothing if gems cannot be built; lacks.txt has the reason.
if(kino_gem_lacks)
  set(kino_gem_lacks "kino: gems cannot be built here; missing:${kino_gem_lacks}")
  file(WRITE "${kino_gem_directory}/lacks.txt" "${kino_gem_lacks}\n")
  add_custom_target(gem
    COMMAND "${CMAKE_COMMAND}" -E cat "${kino_gem_directory}/lacks.txt" # Ninja does not support arguments of several lines
    COMMAND "${CMAKE_COMMAND}" -E false
    VERBATIM)
  add_custom_target(kino-tests-gem)
  return()
endif()
file(REMOVE "${kino_gem_directory}/lacks.txt")

set(stage "${CMAKE_COMMAND}" --install "${PROJECT_BINARY_DIR}" --strip --prefix)
set(build "${KINO_RUBY}" "${PROJECT_SOURCE_DIR}/cmake/gem_build.rb")
add_custom_target(gem
  COMMAND "${CMAKE_COMMAND}" -E rm -rf "${kino_gem_directory}"
  COMMAND ${stage} "${kino_gem_directory}/source" --component kino_development
  COMMAND ${stage} "${kino_gem_directory}/source" --component kino_gem
  COMMAND "${CMAKE_COMMAND}" -E copy_directory "${kino_gem_directory}/source" "${kino_gem_directory}/native"
  COMMAND ${stage} "${kino_gem_directory}/source" --component kino_gem_source
  COMMAND ${stage} "${kino_gem_directory}/native" --component kino_gem_native
  COMMAND ${build} "${kino_gem_directory}/source" "${kino_gem_directory}"
  COMMAND ${build} "${kino_gem_directory}/native" "${kino_gem_directory}"
  DEPENDS kino_native $<TARGET_NAME_IF_EXISTS:kino_tls>
  USES_TERMINAL
  VERBATIM)
add_custom_target(kino-tests-gem DEPENDS gem)
