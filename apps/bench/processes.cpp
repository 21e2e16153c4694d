// Pipes, posix_spawn, and the clocks of other processes.
#include "processes.hpp"

#include "measure.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace chainmail::bench {

namespace {

struct pipe_ends {
  pipe_ends() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0)
      throw std::runtime_error{"no pipe to another process"};
    read_end = ends[0];
    write_end = ends[1];
  }
  pipe_ends(const pipe_ends&) = delete;
  pipe_ends& operator=(const pipe_ends&) = delete;
  ~pipe_ends() {
    close_end(read_end);
    close_end(write_end);
  }

  static void close_end(int& end) {
    if (end >= 0)
      close(end);
    end = -1;
  }

  int read_end = -1;
  int write_end = -1;
};

/// What is at 0, 1 and 2 of a new process.
struct standard_files {
  int input = -1;
  int output = -1;
  int errors = -1;
};

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (auto& text : texts)
    result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

pid_t spawn(std::vector<std::string> arguments, const std::vector<std::string>& variables,
    const std::string& folder, standard_files files) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (!folder.empty())
    posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  if (files.input >= 0)
    posix_spawn_file_actions_adddup2(&actions, files.input, STDIN_FILENO);
  else
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (files.output >= 0)
    posix_spawn_file_actions_adddup2(&actions, files.output, STDOUT_FILENO);
  if (files.errors >= 0)
    posix_spawn_file_actions_adddup2(&actions, files.errors, STDERR_FILENO);
  std::vector<std::string> all = variables;
  for (auto** each = environ; *each != nullptr; ++each)
    all.emplace_back(*each);
  auto argument_pointers = pointers_to(arguments);
  auto variable_pointers = pointers_to(all);
  pid_t result = 0;
  auto failed = posix_spawnp(&result, arguments.front().c_str(), &actions, nullptr,
      argument_pointers.data(), variable_pointers.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0)
    throw std::runtime_error{
        arguments.front() + " cannot be started: " + std::generic_category().message(failed)};
  return result;
}

int status_of(pid_t process) {
  auto status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR)
    ;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Adds what there is to read; false at the end of the file.
bool read_some(int from, std::string& to) {
  std::array<char, 65'536> buffer;
  auto size = read(from, buffer.data(), buffer.size());
  if (size > 0)
    to.append(buffer.data(), static_cast<size_t>(size));
  return size > 0 || (size < 0 && errno == EINTR);
}

/// Until both are at their end, or time is up: then false.
bool read_all(
    pipe_ends& out, std::string& to, pipe_ends& err, std::string& errors, double timeout_s) {
  stopwatch watch;
  while (out.read_end >= 0 || err.read_end >= 0) {
    auto left = timeout_s - watch.wall_s();
    std::array<pollfd, 2> ends{{{out.read_end, POLLIN, 0}, {err.read_end, POLLIN, 0}}};
    if (left <= 0)
      return false;
    if (poll(ends.data(), ends.size(), static_cast<int>(left * 1e3) + 1) < 0)
      continue;
    if (ends[0].revents != 0 && !read_some(out.read_end, to))
      pipe_ends::close_end(out.read_end);
    if (ends[1].revents != 0 && !read_some(err.read_end, errors))
      pipe_ends::close_end(err.read_end);
  }
  return true;
}

} // namespace

// -- in the background ------------------------------------------------------------------

background_process::background_process(
    const std::vector<std::string>& arguments, bool prints_a_line) {
  pipe_ends to;
  pipe_ends from;
  process_ = spawn(arguments, {}, {}, {to.read_end, from.write_end, -1});
  std::swap(input_, to.write_end);
  pipe_ends::close_end(from.write_end);
  if (!prints_a_line)
    return;
  while (first_line_.find('\n') == std::string::npos && read_some(from.read_end, first_line_))
    ;
  auto end = first_line_.find('\n');
  if (end == std::string::npos) {
    close(input_);
    status_of(process_);
    throw std::runtime_error{arguments.front() + " did not start"};
  }
  first_line_.erase(end);
}

background_process::~background_process() {
  close(input_);
  kill(process_, SIGTERM);
  status_of(process_);
}

double background_process::cpu_s() const {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(process_, &clock) != 0 || clock_gettime(clock, &time) != 0)
    return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::vector<std::string> this_program(std::vector<std::string> arguments) {
  std::array<char, 4'096> path;
  auto size = readlink("/proc/self/exe", path.data(), path.size());
  arguments.insert(
      arguments.begin(), std::string{path.data(), size > 0 ? static_cast<size_t>(size) : 0});
  return arguments;
}

// -- to the end -------------------------------------------------------------------------

finished_process run_process(const std::vector<std::string>& arguments,
    const std::vector<std::string>& variables, const std::string& folder, double timeout_s) {
  pipe_ends out;
  pipe_ends err;
  finished_process result;
  stopwatch watch;
  auto process = spawn(arguments, variables, folder, {-1, out.write_end, err.write_end});
  pipe_ends::close_end(out.write_end);
  pipe_ends::close_end(err.write_end);
  if (!read_all(out, result.out, err, result.err, timeout_s))
    kill(process, SIGKILL);
  result.status = status_of(process);
  result.wall_s = watch.wall_s();
  return result;
}

} // namespace chainmail::bench
