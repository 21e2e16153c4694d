// Namespaces by the `ip` program, and threads that enter them.
#include <cerrno>
#include <chrono>
#include <exception>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdexcept>
#include <support/network_namespaces.hpp>
#include <support/temporary_folder.hpp>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace chainmail::test {

namespace {

constexpr int subnets = 256;

/// States of a bridge's port.
const std::string disabled = "0";
const std::string forwarding = "3";

/// Runs `ip` or its sister `bridge` with a batch of commands, one a line. The result is what it
/// complained of; empty when all is well.
std::string run(std::vector<std::string> arguments, const std::string& commands) {
  temporary_folder folder;
  auto batch = folder.path("batch");
  auto said = folder.path("said");
  write_file(batch, commands);
  arguments.insert(arguments.end(), {"-batch", batch});
  std::vector<char*> pointers;
  for (auto& text : arguments)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(
      &files, STDERR_FILENO, said.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t process = 0;
  auto failed = posix_spawnp(&process, pointers[0], &files, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0)
    return arguments[0] + " cannot be run: " + std::generic_category().message(failed);
  auto state = 0;
  waitpid(process, &state, 0);
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
    return {};
  auto complaint = read_file(said);
  return complaint.empty() ? arguments[0] + " failed" : complaint.substr(0, complaint.find('\n'));
}

std::string run_ip(const std::string& commands) {
  return run({"ip"}, commands);
}

void must(const std::string& complaint) {
  if (!complaint.empty())
    throw std::runtime_error{"no network namespaces: " + complaint};
}

/// Nothing tells of it.
template <class Condition>
void wait_until(Condition condition, const char* what) {
  using namespace std::literals;
  for (auto until = std::chrono::steady_clock::now() + 5s; !condition();
       std::this_thread::sleep_for(1ms))
    if (std::chrono::steady_clock::now() > until)
      throw std::runtime_error{std::string{"no network namespaces: "} + what};
}

void enter(const std::string& name) {
  auto fd = open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  auto failed = fd < 0 || setns(fd, CLONE_NEWNET) != 0;
  auto why = errno;
  if (fd >= 0)
    close(fd);
  if (failed)
    throw std::system_error{why, std::generic_category(), "cannot enter the namespace " + name};
}

} // namespace

void run_in_namespace(const std::string& name, const std::function<void()>& what) {
  std::exception_ptr thrown;
  std::thread{[&] {
    try {
      enter(name);
      what();
    } catch (...) {
      thrown = std::current_exception();
    }
  }}.join();
  if (thrown)
    std::rethrow_exception(thrown);
}

network::network(size_t size) {
  static int count = 0;
  auto stem = "chainmail-" + std::to_string(getpid()) + "-" + std::to_string(++count) + "-";
  try {
    make_bridge();
    for (size_t i = 0; i < size; ++i) {
      names_.push_back(stem + std::to_string(i));
      add_namespace(i);
    }
  } catch (...) {
    remove();
    throw;
  }
}

network::~network() {
  remove();
}

std::optional<std::string> network::why_not() {
  static const auto reason = []() -> std::optional<std::string> {
    if (geteuid() != 0)
      return "network namespaces need root";
    try {
      network probe{1};
      probe.cut(0);
      probe.heal(0);
      run_in_namespace(probe.name(0), [] {});
    } catch (const std::exception& error) {
      return error.what();
    }
    return std::nullopt;
  }();
  return reason;
}

std::string network::address(size_t i) const {
  return "10.77." + std::to_string(subnet_) + "." + std::to_string(i + 1);
}

std::string network::own_address() const {
  return "10.77." + std::to_string(subnet_) + ".254";
}

std::string network::link(size_t i) const {
  return "cm" + std::to_string(subnet_) + "-" + std::to_string(i);
}

/// A bridge's name can be taken once: whoever makes it has the subnet.
void network::make_bridge() {
  std::string complaint;
  for (auto i = 0; i < subnets && bridge_.empty(); ++i) {
    subnet_ = (static_cast<int>(getpid()) + i) % subnets;
    auto wanted = "cmbridge" + std::to_string(subnet_);
    complaint = run_ip("link add " + wanted + " type bridge\n");
    if (complaint.empty())
      bridge_ = wanted;
    else if (complaint.find("exists") == std::string::npos)
      break;
  }
  if (bridge_.empty())
    throw std::runtime_error{"no network namespaces: " + complaint};
  must(run_ip(
      "addr add " + own_address() + "/24 dev " + bridge_ + "\nlink set " + bridge_ + " up\n"));
}

void network::add_namespace(size_t i) {
  const auto& name = names_[i];
  must(run_ip("netns add " + name + "\nlink add " + link(i) + " type veth peer name eth0 netns " +
              name + "\nlink set " + link(i) + " master " + bridge_ + " up\n"));
  must(run({"ip", "-n", name},
      "addr add " + address(i) + "/24 dev eth0\nlink set eth0 up\nlink set lo up\n"));
  // Setting a state before the link is up would be undone by that.
  wait_until([&] { return port_state(i) == forwarding; }, "a bridge's port does not open");
}

std::string network::port_state(size_t i) const {
  auto text = read_file("/sys/class/net/" + link(i) + "/brport/state");
  return text.substr(0, text.find('\n'));
}

/// Of the bridge's port, not of the link: a link that is down is noticed at its other end.
void network::set_port_state(size_t i, const std::string& state) {
  must(run({"bridge"}, "link set dev " + link(i) + " state " + state + "\n"));
  if (port_state(i) != state)
    throw std::runtime_error{"no network namespaces: a bridge's port cannot be cut off"};
}

void network::cut(size_t i) {
  set_port_state(i, disabled);
}

void network::heal(size_t i) {
  set_port_state(i, forwarding);
}

void network::remove() noexcept {
  try {
    // One at a time, because the first failure ends a batch.
    for (size_t i = 0; i < names_.size(); ++i) {
      run_ip("link del " + link(i) + "\n");
      run_ip("netns del " + names_[i] + "\n");
    }
    if (!bridge_.empty())
      run_ip("link del " + bridge_ + "\n");
  } catch (...) {
    // The names are unique: what is left is in nobody's way.
  }
}

} // namespace chainmail::test
