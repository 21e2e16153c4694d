# Commands that stand in the documentation: every program and verb is there, and takes the options that it
# is shown with.
#
# cmake -DSOURCE=DIR -DBIN=DIR -P commands.cmake
cmake_minimum_required(VERSION 3.21)

# Of cmake, ctest, git and pkg-config.
set(of_others --build --install --prefix --preset --target --parallel --test-dir --output-on-failure --depth --branch --cflags --libs)

execute_process(COMMAND "${SOURCE}/run" help OUTPUT_VARIABLE verbs COMMAND_ERROR_IS_FATAL ANY)
set(known "${verbs}")
foreach(program demo ask node simulator bench)
  execute_process(COMMAND "${BIN}/chainmail-${program}" --long-help
    OUTPUT_VARIABLE help_${program} ERROR_VARIABLE help_${program} COMMAND_ERROR_IS_FATAL ANY)
  string(APPEND known "${help_${program}}")
endforeach()

set(option "--[a-z][a-z0-9.-]*[a-z0-9]")
set(options "( +${option}(=[^ `\n]*)?)+")
set(checked 0)
file(GLOB documents "${SOURCE}/README.md" "${SOURCE}/docs/*.md")
foreach(document IN LISTS documents)
  file(READ "${document}" text)
  string(REPLACE "\\\n" " " text "${text}") # a command goes on in the next line
  string(REGEX REPLACE "[][;]" " " text "${text}") # which mean something in CMake's lists

  string(REGEX MATCHALL "${option}" named "${text}")
  list(REMOVE_ITEM named ${of_others})
  foreach(name IN LISTS named)
    if(NOT known MATCHES "${name}([^a-z0-9.-]|$)")
      message(SEND_ERROR "${document}: no program has ${name}")
    endif()
  endforeach()

  string(REGEX MATCHALL "chainmail-(demo|ask|node|simulator|bench)${options}" commands "${text}")
  string(REGEX MATCHALL "[.]/run [a-z]+" runs "${text}")
  string(REGEX MATCHALL "[.]/run (demo|ask|bench|simulator)${options}" runs_with_options "${text}")
  foreach(run IN LISTS runs)
    string(REGEX REPLACE ".* " "" verb "${run}")
    if(NOT verbs MATCHES "\n  ${verb} ")
      message(SEND_ERROR "${document}: ${run} is not in ./run help")
    endif()
  endforeach()
  list(TRANSFORM runs_with_options REPLACE "^[.]/run " "chainmail-")
  foreach(command IN LISTS commands runs_with_options)
    string(REGEX REPLACE " --config-file=[^ ]*" "" command "${command}") # a file of the reader's
    separate_arguments(arguments UNIX_COMMAND "${command}")
    list(POP_FRONT arguments program)
    execute_process(COMMAND "${BIN}/${program}" ${arguments} --help
      RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE refused)
    if(NOT status EQUAL 0)
      message(SEND_ERROR "${document}: ${command}\n${refused}")
    endif()
    math(EXPR checked "${checked} + 1")
  endforeach()
endforeach()
message(STATUS "${checked} commands with options")
if(checked LESS 5)
  message(FATAL_ERROR "only ${checked} commands were found: this test no longer reads the documentation")
endif()
