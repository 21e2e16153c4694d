// Machines that are none: network namespaces with addresses of their own, joined by a bridge.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace chainmail::test {

/// Runs `what` in a thread of that namespace: sockets that it opens and processes that it starts
/// are there. What it throws is thrown here.
void run_in_namespace(const std::string& name, const std::function<void()>& what);

/// Namespaces that reach one another, and this process, over a bridge. All of it goes with the
/// object; what still runs in a namespace loses its network.
class network {
public:
  /// Throws std::runtime_error with what the programs `ip` and `bridge` said.
  explicit network(size_t size);
  network(const network&) = delete;
  network& operator=(const network&) = delete;
  ~network();

  /// Why this machine has none, for tests to skip with.
  static std::optional<std::string> why_not();

  [[nodiscard]] const std::string& name(size_t i) const { return names_.at(i); }

  /// "10.77.X.Y". X is no other network's, so tests can run at once.
  [[nodiscard]] std::string address(size_t i) const;

  /// Of this process, on the same bridge.
  [[nodiscard]] std::string own_address() const;

  /// Cuts a namespace off: packets to it and from it vanish, and nobody is told.
  void cut(size_t i);

  /// Lets packets pass again.
  void heal(size_t i);

private:
  [[nodiscard]] std::string link(size_t i) const;
  void make_bridge();
  void add_namespace(size_t i);
  [[nodiscard]] std::string port_state(size_t i) const;
  void set_port_state(size_t i, const std::string& state);
  void remove() noexcept;

  int subnet_ = 0;
  std::string bridge_;
  std::vector<std::string> names_;
};

} // namespace chainmail::test
