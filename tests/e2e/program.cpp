// Processes with a time limit and their output in files.
#include "e2e/program.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <spawn.h>
#include <stdexcept>
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

pid_t start(const std::string& name, std::vector<std::string> arguments,
    const environment& variables, const std::filesystem::path& folder) {
  auto path = std::string{CHAINMAIL_BIN_DIR} + "/" + name;
  arguments.insert(arguments.begin(), path);
  std::vector<std::string> environment_lines;
  for (auto* kept : {"PATH", "HOME", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"})
    if (auto* text = std::getenv(kept))
      environment_lines.push_back(std::string{kept} + "=" + text);
  for (const auto& [key, text] : variables)
    environment_lines.push_back(key + "=" + text);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  auto out = (folder / "out").string();
  auto err = (folder / "err").string();
  auto flags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out.c_str(), flags, 0600);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.c_str(), flags, 0600);
  pid_t process = 0;
  auto failed = posix_spawn(&process, path.c_str(), &files, nullptr, pointers(arguments).data(),
      pointers(environment_lines).data());
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
    environment variables, std::chrono::seconds timeout) {
  auto folder = make_folder();
  auto begin = clock::now();
  auto process = start(name, std::move(arguments), variables, folder);
  auto result = collect(process, folder, begin, timeout);
  std::filesystem::remove_all(folder);
  return result;
}

background_program::background_program(const std::string& name, std::vector<std::string> arguments)
  : folder_(make_folder()) {
  process_ = start(name, std::move(arguments), {}, folder_);
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

program_result background_program::terminate() {
  kill(process_, SIGTERM);
  auto result = collect(process_, folder_, clock::now(), 10s);
  process_ = 0;
  return result;
}

temporary_folder::temporary_folder() : path_(make_folder()) {
}

temporary_folder::~temporary_folder() {
  std::filesystem::remove_all(path_);
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
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
