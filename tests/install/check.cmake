# Installs chainmail and builds an application against what was installed, as its users do.
#
# cmake -DKIND=static|shared|sources -DCHAINMAIL_SOURCE=DIR -DBUILD=DIR -DWORK=DIR -DGENERATOR=NAME
#   -DCAF_ROOT=DIR -DCOMPILER=PROGRAM -DLAUNCHER=PROGRAM -DSIMULATOR=PROGRAM -P check.cmake
cmake_minimum_required(VERSION 3.21)

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(common -G "${GENERATOR}" "-DCAF_ROOT=${CAF_ROOT}" "-DCMAKE_CXX_COMPILER=${COMPILER}"
  "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")
set(consumer -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${WORK}/consumer" ${common})
file(REMOVE_RECURSE "${WORK}/prefix" "${WORK}/moved" "${WORK}/consumer")

if(KIND STREQUAL "sources") # as with FetchContent: nothing but the two libraries, and no warnings of ours
  run(${CMAKE_COMMAND} ${consumer} "-DCHAINMAIL_SOURCE=${CHAINMAIL_SOURCE}" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON)
  file(READ "${WORK}/consumer/compile_commands.json" commands)
  foreach(stranger "/apps/" "/tests/[^i]" "-Wconversion[^\n]*chainmail_(messages|actors|call_path)")
    if(commands MATCHES "${stranger}")
      message(FATAL_ERROR "add_subdirectory brought ${CMAKE_MATCH_0} along")
    endif()
  endforeach()
  run(${CMAKE_COMMAND} --build "${WORK}/consumer" --target chainmail_messages)
  return()
endif()

if(KIND STREQUAL "shared")
  run(${CMAKE_COMMAND} -S "${CHAINMAIL_SOURCE}" -B "${WORK}/build" ${common} -DBUILD_SHARED_LIBS=ON
    -DCHAINMAIL_APPS=OFF -DCHAINMAIL_TESTS=OFF)
  run(${CMAKE_COMMAND} --build "${WORK}/build")
  set(BUILD "${WORK}/build")
endif()
run(${CMAKE_COMMAND} --install "${BUILD}" --prefix "${WORK}/prefix")
# Nothing of it may depend on where it was installed first.
file(RENAME "${WORK}/prefix" "${WORK}/moved")

run(${CMAKE_COMMAND} ${consumer} "-DCMAKE_PREFIX_PATH=${WORK}/moved")
run(${CMAKE_COMMAND} --build "${WORK}/consumer")
run(${WORK}/consumer/consumer_test)
run("${CMAKE_CURRENT_LIST_DIR}/with_simulator.sh" "${SIMULATOR}" "${WORK}/consumer/consumer")
