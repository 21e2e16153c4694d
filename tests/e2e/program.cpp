// Processes with a time limit and their output in files.
#include "e2e/program.hpp"

#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <pty.h>
#include <spawn.h>
#include <stdexcept>
#include <support/network_namespaces.hpp>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace chainmail::test {

namespace {

using clock = std::chrono::steady_clock;
using namespace std::literals;

std::filesystem::path make_folder() {
  auto pattern = (std::filesystem::temp_directory_path() / "chainmail-e2e-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr)
    throw std::runtime_error{"no temporary folder"};
  return pattern;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts)
    result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::string path_of(const std::string& name) {
  if (name.starts_with('/'))
    return name;
  return std::string{CHAINMAIL_BIN_DIR} + "/" + name;
}

std::vector<std::string> lines_of(const environment& variables) {
  std::vector<std::string> result;
  for (auto* kept : {"PATH", "HOME", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"})
    if (auto* text = std::getenv(kept))
      if (!variables.contains(kept))
        result.push_back(std::string{kept} + "=" + text);
  for (const auto& [key, text] : variables)
    result.push_back(key + "=" + text);
  return result;
}

/// Reads from folder/in, writes to folder/out and folder/err.
pid_t start(const std::string& name, std::vector<std::string> arguments,
    const environment& variables, const std::filesystem::path& folder,
    const std::string& network_namespace) {
  auto path = path_of(name);
  arguments.insert(arguments.begin(), path);
  auto environment_lines = lines_of(variables);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  auto in = (folder / "in").string();
  auto out = (folder / "out").string();
  auto err = (folder / "err").string();
  auto flags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, in.c_str(), O_RDONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out.c_str(), flags, 0600);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.c_str(), flags, 0600);
  pid_t process = 0;
  auto failed = 0;
  auto spawn = [&] {
    failed = posix_spawn(&process, path.c_str(), &files, nullptr, pointers(arguments).data(),
        pointers(environment_lines).data());
  };
  if (network_namespace.empty())
    spawn();
  else
    run_in_namespace(network_namespace, spawn);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0)
    throw std::runtime_error{path + " cannot be started: build it first"};
  return process;
}

int wait_for(pid_t process, clock::time_point until) {
  for (;;) {
    auto state = 0;
    if (waitpid(process, &state, WNOHANG) == process)
      return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    if (clock::now() >= until) {
      kill(process, SIGKILL);
      waitpid(process, &state, 0);
      return 124;
    }
    std::this_thread::sleep_for(2ms); // waitpid has no time-out
  }
}

program_result collect(pid_t process, const std::filesystem::path& folder, clock::time_point begin,
    std::chrono::seconds timeout) {
  program_result result;
  result.status = wait_for(process, clock::now() + timeout);
  result.seconds = std::chrono::duration<double>(clock::now() - begin).count();
  result.out = read_file(folder / "out");
  result.err = read_file(folder / "err");
  return result;
}

} // namespace

program_result run_program(const std::string& name, std::vector<std::string> arguments,
    environment variables, std::chrono::seconds timeout, const std::string& input,
    const std::string& network_namespace) {
  auto folder = make_folder();
  std::ofstream{folder / "in", std::ios::binary} << input;
  auto begin = clock::now();
  auto process = start(name, std::move(arguments), variables, folder, network_namespace);
  auto result = collect(process, folder, begin, timeout);
  std::filesystem::remove_all(folder);
  return result;
}

program_result run_on_terminal(const std::string& name, std::vector<std::string> arguments,
    environment variables, const std::string& input) {
  auto path = path_of(name);
  arguments.insert(arguments.begin(), path);
  auto environment_lines = lines_of(variables);
  auto argument_pointers = pointers(arguments);
  auto environment_pointers = pointers(environment_lines);
  winsize size{30, 100, 0, 0};
  auto begin = clock::now();
  auto terminal = -1;
  auto process = forkpty(&terminal, nullptr, nullptr, &size);
  if (process == 0) {
    execve(path.c_str(), argument_pointers.data(), environment_pointers.data());
    _exit(127);
  }
  if (process < 0)
    throw std::runtime_error{path + " cannot be started on a terminal"};
  program_result result;
  std::array<char, 4096> some{};
  pollfd ready{terminal, POLLIN, 0};
  // Reading fails when the last process has closed the terminal.
  while (clock::now() < begin + 30s && poll(&ready, 1, 1'000) >= 0) {
    if (ready.revents == 0)
      continue;
    auto count = read(terminal, some.data(), some.size());
    if (count <= 0)
      break;
    auto is_first = result.out.empty();
    result.out.append(some.data(), static_cast<size_t>(count));
    if (is_first && write(terminal, input.data(), input.size()) < 0)
      break;
  }
  result.status = wait_for(process, clock::now() + 1s);
  result.seconds = std::chrono::duration<double>(clock::now() - begin).count();
  close(terminal);
  return result;
}

background_program::background_program(const std::string& name, std::vector<std::string> arguments,
    environment variables, const std::string& network_namespace)
  : folder_(make_folder()) {
  process_ = start(name, std::move(arguments), variables, folder_, network_namespace);
}

background_program::~background_program() {
  if (process_ != 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  std::filesystem::remove_all(folder_);
}

std::string background_program::first_line() {
  for (auto until = clock::now() + 10s; clock::now() < until; std::this_thread::sleep_for(2ms)) {
    auto text = read_file(folder_ / "out");
    if (auto end = text.find('\n'); end != std::string::npos)
      return text.substr(0, end);
  }
  throw std::runtime_error{"the program says nothing: " + read_file(folder_ / "err")};
}

std::string background_program::wait_for_line(
    const std::string& part, std::chrono::milliseconds timeout) {
  return wait_for_line(
      [&](const std::string& line) { return line.find(part) != std::string::npos; }, timeout);
}

std::string background_program::wait_for_line(
    const std::function<bool(const std::string&)>& is_wanted, std::chrono::milliseconds timeout) {
  for (auto until = clock::now() + timeout;; std::this_thread::sleep_for(2ms)) {
    auto is_last_look = !is_running() || clock::now() >= until;
    for (const auto& text : {out(), err()})
      for (size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos;
           begin = end + 1)
        if (auto line = text.substr(begin, end - begin); is_wanted(line))
          return line;
    if (is_last_look)
      throw std::runtime_error{"the program did not say what it was waited for: " + out() + err()};
  }
}

void background_program::send_signal(int signal) {
  kill(process_, signal);
}

bool background_program::is_running() const {
  siginfo_t info{};
  // Its end is looked at and left where it is, for terminate().
  return process_ != 0 &&
         waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

program_result background_program::terminate(int signal) {
  kill(process_, signal);
  auto result = collect(process_, folder_, clock::now(), 10s);
  process_ = 0;
  return result;
}

simulator_process::simulator_process(std::vector<std::string> arguments)
  : program_("chainmail-simulator", std::move(arguments)) {
  auto line = program_.first_line();
  auto url = line.find("http://");
  if (url == std::string::npos)
    throw std::runtime_error{"the simulator names no URL: " + line};
  base_url_ = line.substr(url);
}

} // namespace chainmail::test
