# SPDX-License-Identifier: MIT
#
# Installs headers, CMake package and pkg-config file. All are independent of the architecture, hence share/.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/kino")

install(TARGETS kino_core kino EXPORT kino-targets FILE_SET HEADERS COMPONENT kino_development)
install(EXPORT kino-targets NAMESPACE kino:: DESTINATION "${package_dir}" COMPONENT kino_development)

configure_package_config_file(cmake/kino-config.cmake.in kino-config.cmake
  INSTALL_DESTINATION "${package_dir}"
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/kino-config-version.cmake"
  COMPATIBILITY SameMinorVersion
  ARCH_INDEPENDENT)
install(
  FILES
    "${CMAKE_CURRENT_BINARY_DIR}/kino-config.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/kino-config-version.cmake"
    cmake/Findconcurrentqueue.cmake
    cmake/kino-extension.cmake
    cmake/extension.exports
  DESTINATION "${package_dir}"
  COMPONENT kino_development)

foreach(name IN ITEMS kino kino-extension)
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig"
    COMPONENT kino_development)
endforeach()
