#include "e2e/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <support/network_namespaces.hpp>
#include <support/tcp_socket.hpp>
#include <thread>

namespace network_test {

using namespace chainmail::test;
using namespace std::literals;

namespace {

void skip_without_namespaces() {
  if (auto reason = network::why_not())
    SKIP(*reason);
}

tcp_socket listening_in(const network& net, size_t i) {
  std::optional<tcp_socket> result;
  run_in_namespace(net.name(i), [&] { result.emplace(tcp_socket::listening(net.address(i))); });
  return std::move(*result);
}

tcp_socket connected_from(const network& net, size_t i, const std::string& host, uint16_t port) {
  std::optional<tcp_socket> result;
  run_in_namespace(net.name(i), [&] { result.emplace(tcp_socket::connected(host, port)); });
  return std::move(*result);
}

/// 'S' for sleeping, 'T' for stopped.
char state_of(pid_t process) {
  auto line = read_file("/proc/" + std::to_string(process) + "/stat");
  return line.at(line.rfind(')') + 2);
}

template <class Condition>
bool becomes_true(Condition condition) {
  for (auto i = 0; i < 5'000 && !condition(); ++i)
    std::this_thread::sleep_for(1ms); // nothing tells of it
  return condition();
}

} // namespace

TEST_CASE("namespaces reach one another and this process, each at its own address") {
  skip_without_namespaces();
  network net{3};
  for (size_t i = 0; i < 3; ++i) {
    auto listener = listening_in(net, i);
    auto client = connected_from(net, (i + 1) % 3, net.address(i), listener.port());
    client.send("hello");
    CHECK(listener.accept().receive() == "hello");
    auto own = tcp_socket::connected(net.address(i), listener.port());
    own.send("from outside");
    CHECK(listener.accept().receive() == "from outside");
  }
  auto own = tcp_socket::listening(net.own_address());
  connected_from(net, 0, net.own_address(), own.port()).send("from inside");
  CHECK(own.accept().receive() == "from inside");
}

TEST_CASE("what goes to a namespace that is cut off vanishes, and comes when it is healed") {
  skip_without_namespaces();
  network net{3};
  auto listener = listening_in(net, 0);
  auto client = connected_from(net, 1, net.address(0), listener.port());
  auto outside = tcp_socket::connected(net.address(0), listener.port());
  auto of_client = listener.accept();
  auto of_outside = listener.accept();
  auto others = listening_in(net, 1);
  auto other_client = connected_from(net, 2, net.address(1), others.port());
  net.cut(0);
  client.send("late");
  outside.send("late, too");
  of_client.send("late answer");
  CHECK_FALSE(of_client.receive(300ms));
  CHECK_FALSE(of_outside.receive(10ms));
  CHECK_FALSE(client.receive(10ms));
  other_client.send("not cut off");
  CHECK(others.accept().receive() == "not cut off");
  net.heal(0);
  CHECK(of_client.receive() == "late");
  CHECK(of_outside.receive() == "late, too");
  CHECK(client.receive() == "late answer");
}

TEST_CASE("a network goes with its object, whatever happens") {
  skip_without_namespaces();
  std::string name;
  std::string address;
  try {
    network net{1};
    name = net.name(0);
    address = net.own_address();
    REQUIRE(std::filesystem::exists("/run/netns/" + name));
    throw std::runtime_error{"a test fails"};
  } catch (const std::runtime_error&) {
  }
  CHECK_FALSE(std::filesystem::exists("/run/netns/" + name));
  CHECK_THROWS(tcp_socket::listening(address));
  CHECK_THROWS(run_in_namespace(name, [] {}));
}

TEST_CASE("networks of one process have nothing to do with one another") {
  skip_without_namespaces();
  network left{1};
  network right{1};
  CHECK(left.address(0) != right.address(0));
  CHECK(left.name(0) != right.name(0));
}

TEST_CASE("a program in a namespace is reached in there only, and signals hit the program itself") {
  skip_without_namespaces();
  network net{1};
  background_program program{"chainmail-simulator", {}, {}, net.name(0)};
  auto line = program.wait_for_line("http://127.0.0.1:");
  auto port_at = line.find("127.0.0.1:") + 10;
  auto port = static_cast<uint16_t>(std::stoi(line.substr(port_at)));
  CHECK_THROWS(tcp_socket::connected("127.0.0.1", port));
  CHECK_NOTHROW(connected_from(net, 0, "127.0.0.1", port));
  CHECK(read_file("/proc/" + std::to_string(program.pid()) + "/comm").starts_with("chainmail-sim"));
  program.send_signal(SIGSTOP);
  CHECK(becomes_true([&] { return state_of(program.pid()) == 'T'; }));
  CHECK(program.is_running());
  program.send_signal(SIGCONT);
  CHECK(becomes_true([&] { return state_of(program.pid()) == 'S'; }));
  program.send_signal(SIGKILL);
  CHECK(becomes_true([&] { return !program.is_running(); }));
  CHECK(program.terminate().status == 128 + SIGKILL);
}

TEST_CASE("a program runs to its end inside a namespace") {
  skip_without_namespaces();
  network net{1};
  auto ran = run_program("chainmail-simulator", {"--help"}, {}, 10s, {}, net.name(0));
  CHECK(ran.status == 0);
  CHECK_THROWS(run_program("chainmail-simulator", {"--help"}, {}, 10s, {}, "chainmail-none"));
}

TEST_CASE("waiting for a line ends with the line, the program or the time") {
  background_program program{"chainmail-simulator", {}};
  CHECK(program.wait_for_line("http://").find("http://") != std::string::npos);
  CHECK(program.wait_for_line([](const std::string& line) { return !line.empty(); }) ==
        program.first_line());
  CHECK_THROWS(program.wait_for_line("a line that it does not write", 20ms));
  program.send_signal(SIGKILL);
  auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS(program.wait_for_line("a line that it does not write", 60s));
  CHECK(std::chrono::steady_clock::now() - begin < 30s);
}

} // namespace network_test
