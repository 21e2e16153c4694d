// The built programs, run as a person would run them.
#pragma once

#include "support/temporary_folder.hpp"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace chainmail::test {

using environment = std::map<std::string, std::string>;

struct program_result {
  /// 128 + the signal's number for a program that a signal ended; 124 for one that took too long.
  int status = -1;
  std::string out;
  std::string err;
  double seconds = 0;

  /// Both outputs.
  [[nodiscard]] std::string said() const { return out + err; }
};

/// Runs build/bin/`name` to its end, or kills it after `timeout`. Of this process's environment it
/// keeps only PATH, HOME and what sanitizers read. `input` is all that it can read. With the name
/// of a network namespace it runs in there.
program_result run_program(const std::string& name, std::vector<std::string> arguments,
    environment variables = {}, std::chrono::seconds timeout = std::chrono::seconds{60},
    const std::string& input = {}, const std::string& network_namespace = {});

/// The same on a terminal of 100 columns, where `input` is typed in when it first says something. Both outputs are in
/// `out`, with what the terminal makes of them: its echo of the input, and "\r\n" for newlines.
program_result run_on_terminal(const std::string& name, std::vector<std::string> arguments,
    environment variables = {}, const std::string& input = {});

/// A program that runs until the object goes. `name` may be a path from the root, too.
class background_program {
public:
  background_program(const std::string& name, std::vector<std::string> arguments,
      environment variables = {}, const std::string& network_namespace = {});
  background_program(const background_program&) = delete;
  background_program& operator=(const background_program&) = delete;
  ~background_program();

  /// The first line of its output; waits for it, at most 10 s.
  std::string first_line();

  /// The first line of its output, or of its errors, that holds `part` or that `is_wanted` says
  /// yes to, without its newline. Waits for it; throws std::runtime_error when the program ends or
  /// time is up without it.
  std::string wait_for_line(
      const std::string& part, std::chrono::milliseconds timeout = std::chrono::seconds{10});
  std::string wait_for_line(const std::function<bool(const std::string&)>& is_wanted,
      std::chrono::milliseconds timeout = std::chrono::seconds{10});

  /// What it wrote so far.
  [[nodiscard]] std::string out() const { return read_file(folder_ / "out"); }
  [[nodiscard]] std::string err() const { return read_file(folder_ / "err"); }

  /// Its own, inside a network namespace, too.
  [[nodiscard]] pid_t pid() const { return process_; }

  /// SIGSTOP and SIGCONT, or SIGKILL without waiting for the end.
  void send_signal(int signal);

  /// A stopped program is running, too.
  [[nodiscard]] bool is_running() const;

  /// Ends it with a signal, SIGTERM for one, and waits.
  program_result terminate(int signal = SIGTERM);

private:
  pid_t process_;
  std::filesystem::path folder_;
};

/// A chainmail-simulator in a process of its own.
class simulator_process {
public:
  explicit simulator_process(std::vector<std::string> arguments);

  [[nodiscard]] const std::string& base_url() const { return base_url_; }
  background_program& program() { return program_; }

private:
  background_program program_;
  std::string base_url_;
};

} // namespace chainmail::test
