// Other processes: those that serve while a scenario runs, and those that run to their end.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace chainmail::bench {

/// A program in the background. Ends with the object; those that read their standard input also know
/// when this process ends.
class background_process {
public:
  /// The first argument is the program. Waits for the first line that it prints, unless it prints none.
  /// @throws std::runtime_error when it cannot be started, or ends without that line
  explicit background_process(const std::vector<std::string>& arguments, bool prints_a_line = true);
  background_process(const background_process&) = delete;
  background_process& operator=(const background_process&) = delete;
  ~background_process();

  [[nodiscard]] const std::string& first_line() const { return first_line_; }

  /// Of all its threads, until now.
  [[nodiscard]] double cpu_s() const;

private:
  pid_t process_ = 0;
  int input_ = -1;
  std::string first_line_;
};

/// The program that is running, as another process.
std::vector<std::string> this_program(std::vector<std::string> arguments);

/// A simulated endpoint in a process of its own, so that its CPU time is not counted here.
class endpoint_process : public background_process {
public:
  /// @param latency as on a command line: "100ms"
  explicit endpoint_process(const std::string& latency)
    : background_process(this_program({"--scenario=endpoint", "--latency=" + latency})) {}

  [[nodiscard]] const std::string& base_url() const { return first_line(); }
};

struct finished_process {
  /// 128 + the signal's number for one that a signal ended.
  int status = -1;
  std::string out;
  std::string err;
  double wall_s = 0;
};

/// Runs a program to its end, or kills it after so many seconds. `variables` ("NAME=value") are added to this process's
/// environment; an empty folder is the current one.
/// @throws std::runtime_error when it cannot be started
finished_process run_process(const std::vector<std::string>& arguments,
    const std::vector<std::string>& variables = {}, const std::string& folder = {},
    double timeout_s = 300);

} // namespace chainmail::bench
