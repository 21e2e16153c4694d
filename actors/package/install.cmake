# What `cmake --install` puts in place: headers, libraries, the CMake package and the pkg-config file.
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/chainmail")

# Component "libraries" is all of it but the programs.
install(TARGETS chainmail_messages chainmail_actors EXPORT chainmail
  RUNTIME COMPONENT libraries LIBRARY COMPONENT libraries NAMELINK_COMPONENT libraries ARCHIVE COMPONENT libraries)
install(EXPORT chainmail FILE chainmailTargets.cmake NAMESPACE chainmail:: DESTINATION "${package_dir}" COMPONENT libraries)
install(DIRECTORY messages/chainmail actors/chainmail
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT libraries FILES_MATCHING PATTERN "*.hpp")

configure_package_config_file(
  actors/package/chainmailConfig.cmake.in chainmailConfig.cmake INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(chainmailConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/chainmailConfig.cmake" "${PROJECT_BINARY_DIR}/chainmailConfigVersion.cmake"
  actors/package/find_re2.cmake
  DESTINATION "${package_dir}" COMPONENT libraries)

file(RELATIVE_PATH CHAINMAIL_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" /)
# CAF has no pkg-config file of its own: its folders are those of the CAF that was found.
get_target_property(CHAINMAIL_CAF_LIBRARY CAF::core LOCATION)
get_filename_component(CHAINMAIL_CAF_LIBRARY_DIR "${CHAINMAIL_CAF_LIBRARY}" DIRECTORY)
get_target_property(CHAINMAIL_CAF_INCLUDE_DIR CAF::core INTERFACE_INCLUDE_DIRECTORIES)
if(CHAINMAIL_FIRST_TYPE_ID)
  set(CHAINMAIL_PC_DEFINITION " -DCHAINMAIL_FIRST_TYPE_ID=${CHAINMAIL_FIRST_TYPE_ID}")
endif()
if(BUILD_SHARED_LIBS)
  set(CHAINMAIL_PC_REQUIRES Requires.private)
else()
  set(CHAINMAIL_PC_REQUIRES Requires)
endif()
configure_file(actors/package/chainmail.pc.in chainmail.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/chainmail.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT libraries)
